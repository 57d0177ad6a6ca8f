/* heartbeat: this process in the database's table of instances: that it lives, and which scripts it
 * runs since when. A thread with a connection of its own says so whenever other scripts run, and
 * every ten seconds. Nothing depends on it: without the database it warns once and tries again. */
#ifndef AGG_HOST_RELOAD_HEARTBEAT_H
#define AGG_HOST_RELOAD_HEARTBEAT_H

#include "base/buffer.h"
#include "config/config.h"

struct heartbeat;

/* The config must outlive it. */
struct heartbeat *heartbeat_start(const struct config *config, struct err *err);
/* Says that this process has stopped, if the database answers at once. */
void heartbeat_stop(struct heartbeat *heartbeat);

/* From now on these scripts run. Any thread. */
void heartbeat_set_scripts(struct heartbeat *heartbeat, uint64_t generation, const char *hash);
/* The key of this process in the table, with its group: kafka.options' group.instance.id, or host,
 * process and start. */
const char *heartbeat_instance(const struct heartbeat *heartbeat);
/* Appends a JSON object, what ran here, or else in this group, before this start; null where nobody
 * knows. Any thread. */
void heartbeat_append_before(struct heartbeat *heartbeat, struct buffer *json);

#endif
