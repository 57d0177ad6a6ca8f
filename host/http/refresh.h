/* refresh: computes stale responses again in the background, on one thread: so that a burst of them
 * takes one script state, and requests the others. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

struct refresh;

#define REFRESH_MOST 256 /* that wait */

/* Starts the thread, which calls refresh(context, text) for each text. NULL: err. */
struct refresh *refresh_create(void (*refresh)(void *context, struct slice text), void *context,
                               struct err *err);
/* Texts that wait are left. */
void refresh_destroy(struct refresh *refresh);
/* Copies the text. False: too many wait. Any thread. */
bool refresh_give(struct refresh *refresh, struct slice text);
