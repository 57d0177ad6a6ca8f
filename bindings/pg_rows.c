#include "pg_rows.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

int pg_rows_count(const struct pg_result *rows) {
    return PQntuples(rows);
}

int pg_rows_column_count(const struct pg_result *rows) {
    return PQnfields(rows);
}

int pg_rows_find_column(const struct pg_result *rows, const char *name) {
    /* PQfnumber takes capitals for small letters. */
    for (int column = 0; column < PQnfields(rows); column++) {
        if (strcmp(PQfname(rows, column), name) == 0) {
            return column;
        }
    }
    return -1;
}

const char *pg_rows_column_name(const struct pg_result *rows, int column) {
    return PQfname(rows, column);
}

const char *pg_rows_text(const struct pg_result *rows, int row, int column) {
    return PQgetvalue(rows, row, column);
}

bool pg_rows_is_null(const struct pg_result *rows, int row, int column) {
    return PQgetisnull(rows, row, column);
}

struct slice pg_rows_cell(const struct pg_result *rows, int row, int column) {
    if (PQgetisnull(rows, row, column)) {
        return (struct slice){0};
    }
    return (struct slice){PQgetvalue(rows, row, column), (size_t)PQgetlength(rows, row, column)};
}

int64_t pg_rows_int(const struct pg_result *rows, int row, int column) {
    return strtoll(PQgetvalue(rows, row, column), NULL, 10);
}

struct slice pg_rows_bytes(const struct pg_result *rows, int row, int column) {
    size_t len = 0;
    unsigned char *bytes =
        PQunescapeBytea((const unsigned char *)PQgetvalue(rows, row, column), &len);
    return (struct slice){(const char *)bytes, bytes ? len : 0};
}

void pg_rows_free_bytes(void *bytes) {
    PQfreemem(bytes);
}

int64_t pg_rows_written(const struct pg_result *result) {
    return strtoll(PQcmdTuples((PGresult *)result), NULL, 10);
}

const char *pg_rows_command(const struct pg_result *result) {
    return PQcmdStatus((PGresult *)result);
}

struct pg_result *pg_rows_copy(const struct pg_result *rows) {
    return PQcopyResult(rows, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
}

void pg_rows_free(struct pg_result *rows) {
    PQclear(rows);
}
