/* generation_store: the files of generations that have run, in the database, for rollbacks after a
 * restart. All processes share it. Any thread; each call has a connection of its own. */
#pragma once

#include "script/script.h"
#include "view/sql_session.h"

#define GENERATION_STORE_LEAST_DIGITS 8 /* of a hash, to name a generation by */

/* Stores the generation's files, unless they are stored, and the time. Deletes the generations that
 * ran longest ago if there are too many. */
bool generation_store_save(const struct script_generation *generation, struct err *err);

/* The generation whose hash begins with `hash`, with that number and those settings; hash "": the
 * one that ran last, except `running` (a hash). NULL: err says why. */
struct script_generation *generation_store_load(const struct config *config, uint64_t number,
                                                struct slice hash, const char *running,
                                                struct err *err);

/* Appends a JSON list, the latest first. */
bool generation_store_list(struct sql_session *session, struct buffer *json, struct err *err);
