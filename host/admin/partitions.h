/* partitions: GET /admin/partitions: each partition of the group: its offset and what became of its
 * events, from the database, and the lag of those that this process reads. */
#pragma once

#include "config/config.h"
#include "verb.h"

int partitions_answer(const struct config *config, struct buffer *json);
