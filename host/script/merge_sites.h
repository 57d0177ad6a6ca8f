/* merge_sites: finds the merges of a script whose columns are literal names, and lets them call
 * DIRECT_MERGE with the columns' values as arguments:
 *
 *     view.orders:merge(id, "customer", { name = name, city = event.city })
 *     MERGE(view.orders, id, "customer,name,.city", name,
 *           (REFERENCES[event] and REFERENCES[event].city or event.city))
 *
 * The names are checked here: nothing has to make the table and look for unknown keys in it. A
 * merge within an argument of another one stays as it is.
 *
 * A key or value that is a field of `event` becomes direct.lua's reference to it, if it has one:
 * the field's text then needs no string of Lua. Where `event` is another value, or the field has no
 * reference, the script reads it as before, at the same place. */
#pragma once

#include "base/buffer.h"
#include "view/view.h"

/* Appends the text with the calls replaced, on their lines, and a local for REFERENCES before it;
 * MERGE is a local already. False: it has no calls, and nothing is appended. `text` is
 * NUL-terminated. */
bool merge_sites_write(const struct view *view, const char *text, struct buffer *out);
