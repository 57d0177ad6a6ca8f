/* kept: the generations that have run, the running one and some before it, with their files in
 * memory. Guarded by whoever holds it. */
#ifndef AGG_HOST_RELOAD_KEPT_H
#define AGG_HOST_RELOAD_KEPT_H

#include "../base/buffer.h"
#include "../script/script.h"

#define KEPT_MOST 10

struct kept {
    struct script_generation *items[KEPT_MOST]; /* the running one first; references */
    int64_t since_us[KEPT_MOST]; /* Unix: when each began to run, for the last time */
    size_t count;
};

/* It runs from now on. The oldest one goes where there are too many. */
void kept_add(struct kept *kept, struct script_generation *generation);
struct script_generation *kept_running(const struct kept *kept);
/* A new reference to the generation that `which` names: its number, or STORE_LEAST_DIGITS or more
 * of its hash; "": the one that ran last. NULL with an error: it runs, or there is none; without
 * one: it is none of these, and may be in the store. */
struct script_generation *kept_find(const struct kept *kept, struct slice which, struct err *err);
/* Appends a JSON list. */
void kept_list(const struct kept *kept, struct buffer *json);
void kept_clear(struct kept *kept);

#endif
