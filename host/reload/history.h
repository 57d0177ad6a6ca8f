/* history: the generations that have run, the running one and some before it, with their files in
 * memory. Guarded by whoever holds it. */
#ifndef AGG_HOST_RELOAD_HISTORY_H
#define AGG_HOST_RELOAD_HISTORY_H

#include "base/buffer.h"
#include "script/script.h"

#define HISTORY_MOST 10

struct history {
    struct script_generation *items[HISTORY_MOST]; /* the running one first; references */
    int64_t since_us[HISTORY_MOST]; /* Unix: when each began to run, for the last time */
    size_t count;
};

/* It runs from now on. The oldest one goes where there are too many. */
void history_add(struct history *history, struct script_generation *generation);
struct script_generation *history_running(const struct history *history);
/* A new reference to the generation that `which` names: its number, or
 * GENERATION_STORE_LEAST_DIGITS or more of its hash; "": the one that ran last. NULL with an error:
 * it runs, or there is none; without one: it is none of these, and may be in the store. */
struct script_generation *history_find(const struct history *history, struct slice which,
                                       struct err *err);
/* Appends a JSON list. */
void history_list(const struct history *history, struct buffer *json);
void history_clear(struct history *history);

#endif
