/* refresh: computes stale responses again in the background. A route has a queue and one
 * computation at a time, so that a slow one delays no other; all of them together take half of the
 * script states, and requests have the others. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

struct refresh;

#define REFRESH_MOST 256  /* that wait, of a route */
#define REFRESH_THREADS 4 /* at most, with as many routes */

/* Starts the threads, which call refresh(context, text) for each text. One of them works until
 * refresh_bound. NULL: err. */
struct refresh *refresh_create(void (*refresh)(void *context, struct slice text), void *context,
                               struct err *err);
/* Texts that wait are left. */
void refresh_destroy(struct refresh *refresh);
/* From now on as many threads work as half of http.states allows, and one at least. Any thread. */
void refresh_bound(struct refresh *refresh, int states);
/* Copies both; the route's name tells it from the others. False: too many wait. Any thread. */
bool refresh_give(struct refresh *refresh, const char *route, struct slice text);
