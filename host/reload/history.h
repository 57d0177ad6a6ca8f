/* history: the running generation and some before it, with their files in memory. The caller locks.
 */
#pragma once

#include "base/buffer.h"
#include "script/script.h"

#define HISTORY_MOST 10

struct history {
    struct script_generation *items[HISTORY_MOST]; /* the running one first; references */
    int64_t since_us[HISTORY_MOST];                /* Unix: when each last started to run */
    size_t count;
};

/* The generation runs from now on. The oldest one leaves if there are too many. */
void history_add(struct history *history, struct script_generation *generation);
struct script_generation *history_running(const struct history *history);
/* Whether `which` is the generation's number, or GENERATION_STORE_LEAST_DIGITS or more of its hash.
 */
bool history_is_named(const struct script_generation *generation, struct slice which);
/* A new reference to the generation that `which` names; "": the one before the running one. NULL
 * with an error: it runs, or is unknown; NULL without one: it may be in the store. */
struct script_generation *history_find(const struct history *history, struct slice which,
                                       struct err *err);
/* Appends a JSON list. */
void history_list(const struct history *history, struct buffer *json);
void history_clear(struct history *history);
