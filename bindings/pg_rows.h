/* pg_rows: the result of a statement: its rows, in text, by row and column from 0. What is read is
 * borrowed from the result. Of a missing row or column nothing may be read. */
#ifndef AGG_BINDINGS_PG_ROWS_H
#define AGG_BINDINGS_PG_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct pg_result; /* libpq's PGresult */

int pg_rows_count(const struct pg_result *rows);
int pg_rows_column_count(const struct pg_result *rows);
/* The index of the column with this name; -1: there is none. */
int pg_rows_find_column(const struct pg_result *rows, const char *name);
const char *pg_rows_column_name(const struct pg_result *rows, int column);
/* A cell; "" where it is null. */
const char *pg_rows_text(const struct pg_result *rows, int row, int column);
bool pg_rows_is_null(const struct pg_result *rows, int row, int column);
/* A cell; absent (data NULL) where it is null. */
struct slice pg_rows_cell(const struct pg_result *rows, int row, int column);
int64_t pg_rows_int(const struct pg_result *rows, int row, int column); /* null: 0 */
/* The bytes of a bytea cell, to be freed by pg_rows_free_bytes. */
struct slice pg_rows_bytes(const struct pg_result *rows, int row, int column);
void pg_rows_free_bytes(void *bytes);
/* How many rows the statement has written. */
int64_t pg_rows_written(const struct pg_result *result);
/* The command that was carried out, as the server names it: "COMMIT", "INSERT 0 3". */
const char *pg_rows_command(const struct pg_result *result);
/* The rows and the names of their columns; NULL: no memory. */
struct pg_result *pg_rows_copy(const struct pg_result *rows);
void pg_rows_free(struct pg_result *rows); /* NULL: nothing */

#endif
