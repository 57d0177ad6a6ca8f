/* query_kind: which kinds of statements a query of sql/queries may be. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Postgres calls others, which it cannot prepare, a syntax error at their first word: says what is
 * allowed instead. Does nothing to another error, or if the first word is allowed. */
void query_kind_explain(const char *sql, struct err *err);
