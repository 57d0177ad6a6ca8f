/* pg_params: the layout of parameters. Private to the binding. */
#pragma once

#include <postgres_ext.h> /* Oid */
#include "base/buffer.h"
#include "pg.h"

struct pg_params {
    struct buffer bytes; /* values one after another, text ones with a NUL */
    size_t count;
    size_t cap;
    size_t *offsets;
    bool *nulls;
    int *lengths;
    int *formats;
    Oid *types; /* 0: the server infers it */
    const char **values;
    enum pg_array array_type;
    size_t array_start;
    int32_t array_count;
    bool array_has_null;
};

/* Pointers for libpq, valid until the next change. */
const char *const *pg_params_values(const struct pg_params *params);
