/* generation_store: the files of generations that have run, in the database: a rollback finds them
 * after a restart, and whatever has become of the disk. Shared by all processes. Any thread; each
 * call has a connection of its own. */
#ifndef AGG_HOST_RELOAD_GENERATION_STORE_H
#define AGG_HOST_RELOAD_GENERATION_STORE_H

#include "script/script.h"
#include "view/sql_session.h"

#define GENERATION_STORE_LEAST_DIGITS 8 /* of a hash, to name a generation by */

/* Keeps its files, unless they are there, and notes that it runs now. The generations that ran
 * longest ago go where there are too many. */
bool generation_store_save(const struct script_generation *generation, struct err *err);

/* The generation, with that number and those settings, whose hash begins with `hash`; "": the one
 * that ran last besides `running`, a hash. NULL: err says what is wrong. */
struct script_generation *generation_store_load(const struct config *config, uint64_t number,
                                                struct slice hash, const char *running,
                                                struct err *err);

/* Appends a JSON list, the one that ran last first. */
bool generation_store_list(struct sql_session *session, struct buffer *json, struct err *err);

#endif
