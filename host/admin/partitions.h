/* partitions: GET /admin/partitions: each partition of the group: its offset and what became of its
 * events, from the database, and the lag of those that this process reads. */
#ifndef AGG_HOST_ADMIN_PARTITIONS_H
#define AGG_HOST_ADMIN_PARTITIONS_H

#include "config/config.h"
#include "verb.h"

int partitions_answer(const struct config *config, struct buffer *json);

#endif
