/* schema_check: whether scripts fit the database: its schema against their view, and each of their
 * queries prepared. */
#ifndef AGG_HOST_VIEW_SCHEMA_CHECK_H
#define AGG_HOST_VIEW_SCHEMA_CHECK_H

#include "../script/script.h"
#include "sql_session.h"

/* ERR_INPUT names the column, or the query's file and what Postgres says of it; ERR_UNAVAILABLE:
 * the database could not be asked. */
bool schema_check(struct sql_session *session, const struct script_generation *generation,
                  struct err *err);

#endif
