/* merge_sites: finds the merges of a script whose columns are literal names, and lets them call
 * DIRECT_MERGE:
 *
 *     view.orders:merge(id, "customer", { name = name })
 *     MERGE(view.orders, id, "customer", { name = name })
 *
 * The names are checked here. So the compiler need not make the table: nothing has to look for
 * unknown keys in it. */
#pragma once

#include "base/buffer.h"
#include "view/view.h"

/* Appends the text with the calls replaced, on their lines, and a local for MERGE before it. False:
 * it has none, and nothing is appended. `text` is NUL-terminated. */
bool merge_sites_write(const struct view *view, const char *text, struct buffer *out);
