/* instances: what the database knows of all processes of the group: which scripts each runs, and by
 * which scripts the partitions were last handled, whoever owns them. A fleet that is rolled out by
 * half shows in both; a restart with other files than before, too. */
#ifndef AGG_HOST_ADMIN_INSTANCES_H
#define AGG_HOST_ADMIN_INSTANCES_H

#include "base/buffer.h"
#include "config/config.h"

/* Appends the members "instances", "scripts_agree", "partitions_handled_by" and
 * "stored_generations" (what a rollback finds by its hash) of a JSON object; null where the
 * database cannot say, or should not be asked (`ask` is false). `instance` is this process. Waits
 * for the database for some seconds. */
void instances_append(const struct config *config, const char *instance, bool ask,
                      struct buffer *json);

#endif
