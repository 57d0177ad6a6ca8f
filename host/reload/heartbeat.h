/* heartbeat: writes this process, and which scripts it runs since when, into the table of
 * instances: on each change of the scripts and every ten seconds, on a thread and connection of its
 * own. Nothing depends on it: without the database it warns once and retries. */
#pragma once

#include "base/buffer.h"
#include "config/config.h"

struct heartbeat;

/* The config must outlive it. */
struct heartbeat *heartbeat_start(const struct config *config, struct err *err);
/* Writes that this process stopped, if it is connected. */
void heartbeat_stop(struct heartbeat *heartbeat);

/* The running scripts changed. Any thread. */
void heartbeat_set_scripts(struct heartbeat *heartbeat, uint64_t generation, const char *hash);
/* The key of this process in the table, with its group: group.instance.id of kafka.options, or
 * host, process and start. */
const char *heartbeat_instance(const struct heartbeat *heartbeat);
/* Appends a JSON object: the scripts that ran here, or else in this group, before this start; null
 * if unknown. Any thread. */
void heartbeat_append_before(struct heartbeat *heartbeat, struct buffer *json);
