/* instances: reads from the database which scripts each process of the group runs, and which
 * scripts last handled the partitions. Both show a rollout that stopped half-way. */
#pragma once

#include "base/buffer.h"
#include "config/config.h"

/* Appends the members "instances", "scripts_agree", "partitions_handled_by" and
 * "stored_generations" (which a rollback finds by hash) of a JSON object; each is null if the
 * database does not reply, or `ask` is false. `instance` is this process. May wait some seconds. */
void instances_append(const struct config *config, const char *instance, bool ask,
                      struct buffer *json);
