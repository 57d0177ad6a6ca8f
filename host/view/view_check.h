/* view_check: compares the database's tables with the view. */
#pragma once

#include "view.h"

struct pg;

/* A difference of a table, or of one of its columns (otherwise NULL). */
typedef void (*view_problem)(void *context, const char *table, const char *column,
                             const char *text);
/* Reports every difference. False: a query failed. */
bool view_check(struct pg *pg, const struct view *view, int timeout_ms, view_problem problem,
                void *context, struct err *err);
/* The same as one error: ERR_INPUT for differences. */
bool view_sql_check(struct pg *pg, const struct view *view, int timeout_ms, struct err *err);
/* Only that each type is one of view.lua, or an enum of the database, whatever tables it has. */
bool view_check_types(struct pg *pg, const struct view *view, int timeout_ms, struct err *err);
