/* query_columns: the columns that a query returns, from its text alone. Pure. */
#ifndef AGG_HOST_CHECK_QUERY_COLUMNS_H
#define AGG_HOST_CHECK_QUERY_COLUMNS_H

#include "base/slice.h"
#include "view/view.h"

/* Calls `column` for each named column, with its LuaCATS type: of its cast, or of the view's
 * column, else "any". False, without a call: the text does not name the columns (a `*`, or a
 * statement without rows). */
bool query_columns(const char *sql, const struct view *view,
                   void (*column)(void *context, struct slice name, const char *type),
                   void *context);

/* The type that rows have a column of the view as. */
const char *query_columns_lua_type(enum view_type type);

#endif
