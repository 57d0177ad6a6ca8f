/* view_check: whether the database's tables are what the view declares. */
#ifndef AGG_HOST_VIEW_VIEW_CHECK_H
#define AGG_HOST_VIEW_VIEW_CHECK_H

#include "view.h"

struct pg;

/* What is wrong with a table, or with one of its columns (otherwise NULL). */
typedef void (*view_problem)(void *context, const char *table, const char *column,
                             const char *text);
/* Tells every problem. False: the database could not be asked. */
bool view_check(struct pg *pg, const struct view *view, int timeout_ms, view_problem problem,
                void *context, struct err *err);
/* The same in one error: ERR_INPUT where there are problems. */
bool view_sql_check(struct pg *pg, const struct view *view, int timeout_ms, struct err *err);

#endif
