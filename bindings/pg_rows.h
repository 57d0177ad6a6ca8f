/* pg_rows: the result of a statement. Rows and columns count from 0 and must exist. Texts are
 * borrowed from the result. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct pg_result; /* libpq's PGresult */

int pg_rows_count(const struct pg_result *rows);
int pg_rows_column_count(const struct pg_result *rows);
int pg_rows_find_column(const struct pg_result *rows, const char *name); /* -1: none */
const char *pg_rows_column_name(const struct pg_result *rows, int column);
const char *pg_rows_text(const struct pg_result *rows, int row, int column); /* null: "" */
bool pg_rows_is_null(const struct pg_result *rows, int row, int column);
struct slice pg_rows_cell(const struct pg_result *rows, int row, int column); /* null: absent */
int64_t pg_rows_int(const struct pg_result *rows, int row, int column);       /* null: 0 */
/* The bytes of a bytea cell; free them with pg_rows_free_bytes. */
struct slice pg_rows_bytes(const struct pg_result *rows, int row, int column);
void pg_rows_free_bytes(void *bytes);
int64_t pg_rows_written(const struct pg_result *result); /* by the statement */
/* The server's command tag: "COMMIT", "INSERT 0 3". */
const char *pg_rows_command(const struct pg_result *result);
/* The rows and the names of their columns; NULL: no memory. */
struct pg_result *pg_rows_copy(const struct pg_result *rows);
void pg_rows_free(struct pg_result *rows); /* NULL: nothing */
