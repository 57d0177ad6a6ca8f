/* query_samples: runs the scripts' queries with values that the view's rows have. NULL parameters,
 * as schema_check.h has them, reach few rows: an error of a function or of a plan shows only with
 * some. */
#pragma once

#include "config/config.h"
#include "script/script.h"
#include "view/sql_session.h"

/* Runs each query with the values of up to three rows: a parameter takes those of the view's column
 * of its name, :keys of a reaction those of its table's key, and another one NULL or a small
 * number. In transactions that only read, which are rolled back. On Citus the rows of each are
 * compared with those that copies of the tables give on one server, unless a table has more than
 * 20,000 rows or the role may make no temporary tables.
 *
 * *summary, which the caller frees: what was run and compared. ERR_INPUT names the queries' files;
 * ERR_UNAVAILABLE: no connection to the database. */
bool query_samples_check(struct sql_session *session, const struct config *config, bool on_citus,
                         const struct script_generation *generation, struct buffer *summary,
                         struct err *err);
