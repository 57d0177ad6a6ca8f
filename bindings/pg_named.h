/* pg_named: rewrites a query's `:name` parameters as `$1, $2, …`, but not in quotes, dollar quotes,
 * comments and `::` casts. Finds statements of a text by the same rules. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct pg_named {
    char *sql;
    char **names; /* names[0] is $1 */
    size_t count;
};

/* Names match [a-z_][a-z0-9_]*; a repeated name is one parameter. False, with `named` empty: an
 * unterminated quote or comment, or a $1, and err names the line; or no statement. */
bool pg_named_parse(struct pg_named *named, const char *text, struct err *err);
/* Whether the text has more than comments, spaces and semicolons. */
bool pg_has_statement(const char *text);
/* The first statement that would end the transaction in which the text runs, as COMMIT does; NULL:
 * none. */
const char *pg_find_transaction_end(const char *text);
void pg_named_free(struct pg_named *named);
