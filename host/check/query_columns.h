/* query_columns: the columns that a query returns, as far as its text says: no server is asked.
 * Pure. */
#ifndef AGG_HOST_CHECK_QUERY_COLUMNS_H
#define AGG_HOST_CHECK_QUERY_COLUMNS_H

#include "base/slice.h"
#include "view/view.h"

/* Calls `column` for each column that has a name, with the LuaCATS type that rows have it as: that
 * of its cast, or of the view's column that it is, "any" where neither stands there. False, with no
 * call, where the names are not in the text: a `*`, or a statement that returns nothing. */
bool query_columns(const char *sql, const struct view *view,
                   void (*column)(void *context, struct slice name, const char *type),
                   void *context);

#endif
