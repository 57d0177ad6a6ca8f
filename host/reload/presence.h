/* presence: this process in the database's table of instances: that it lives, and which scripts it
 * runs since when. A thread with a connection of its own says so whenever other scripts run, and
 * every ten seconds. Nothing depends on it: without the database it warns once and tries again. */
#ifndef AGG_HOST_RELOAD_PRESENCE_H
#define AGG_HOST_RELOAD_PRESENCE_H

#include "../base/buffer.h"
#include "../config/config.h"

struct presence;

/* The config must outlive it. */
struct presence *presence_start(const struct config *config, struct err *err);
/* Says that this process has stopped, if the database answers at once. */
void presence_stop(struct presence *presence);

/* From now on these scripts run. Any thread. */
void presence_set_scripts(struct presence *presence, uint64_t generation, const char *hash);
/* The key of this process in the table, with its group: kafka.options' group.instance.id, or host,
 * process and start. */
const char *presence_instance(const struct presence *presence);
/* Appends a JSON object, what ran here, or else in this group, before this start; null where nobody
 * knows. Any thread. */
void presence_append_before(struct presence *presence, struct buffer *json);

#endif
