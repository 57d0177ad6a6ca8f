/* pg_named: the text of a query with `:name` parameters, turned into Postgres' `$1, $2, …`. What
 * stands in quotes, dollar quotes or comments, and `::` casts, stays as it is. */
#ifndef AGG_BINDINGS_PG_NAMED_H
#define AGG_BINDINGS_PG_NAMED_H

#include <stddef.h>

#include "base/err.h"

struct pg_named {
    char *sql;
    char **names; /* names[0] is $1 */
    size_t count;
};

/* A name is lower-case letters, digits and _, and begins with no digit; the same name twice is one
 * parameter. False, with `named` empty, where a quote or comment does not end, or $1 is written:
 * err names the line. */
bool pg_named_parse(struct pg_named *named, const char *text, struct err *err);
void pg_named_free(struct pg_named *named);
/* Length of what stands at `at` and is no parameter: a quote, a comment, a cast, or one byte.
 * `start` is where the text begins: a quote's meaning hangs on what is before it. 0: it does not
 * end. */
size_t pg_named_plain_length(const char *at, const char *start);

#endif
