/* merge_sites: finds the merges of a script whose columns are literal names, and lets them call
 * DIRECT_MERGE with the columns' values as arguments:
 *
 *     view.orders:merge(id, "customer", { name = name, city = city })
 *     MERGE(view.orders, id, "customer,name,city", name, city)
 *
 * The names are checked here: nothing has to make the table and look for unknown keys in it. A
 * merge within an argument of another one stays as it is. */
#pragma once

#include "base/buffer.h"
#include "view/view.h"

/* Appends the text with the calls replaced, on their lines, and a local for MERGE before it. False:
 * it has none, and nothing is appended. `text` is NUL-terminated. */
bool merge_sites_write(const struct view *view, const char *text, struct buffer *out);
