/* fleet: which scripts the group's partitions were last handled by, whoever owns them: a fleet that
 * is rolled out by half shows as two hashes, and so does a restart with other files than before. */
#ifndef AGG_HOST_ADMIN_FLEET_H
#define AGG_HOST_ADMIN_FLEET_H

#include "../buffer.h"
#include "../config.h"

/* Appends a JSON list of hashes, each with its number of partitions; null where the
 * database cannot say. Waits for it for some seconds. */
void fleet_append(const struct config *config, struct buffer *json);

#endif
