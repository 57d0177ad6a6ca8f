/* pg_params: parameters as libpq takes them; arrays in Postgres' binary form (big-endian:
 * dimensions, has-null flag, element type, length, lower bound, then each element with its length).
 */
#include <endian.h>
#include <limits.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "pg_params.h"

#define POSTGRES_EPOCH_UNIX_US 946684800000000LL
#define POSTGRES_EPOCH_UNIX_DAYS 10957
#define ARRAY_HEADER_BYTES 20
#define EMPTY_ARRAY_HEADER_BYTES 12

enum { TYPE_TEXT = 25, TYPE_INT8 = 20, TYPE_FLOAT8 = 701, TYPE_BOOL = 16, TYPE_BYTEA = 17 };

static const struct {
    Oid array;
    Oid element;
} array_types[] = {
    [PG_ARRAY_TEXT] = {1009, TYPE_TEXT},   [PG_ARRAY_INT4] = {1007, 23},
    [PG_ARRAY_INT8] = {1016, TYPE_INT8},   [PG_ARRAY_FLOAT8] = {1022, TYPE_FLOAT8},
    [PG_ARRAY_BOOL] = {1000, TYPE_BOOL},   [PG_ARRAY_TIMESTAMPTZ] = {1185, 1184},
    [PG_ARRAY_DATE] = {1182, 1082},        [PG_ARRAY_UUID] = {2951, 2950},
    [PG_ARRAY_BYTEA] = {1001, TYPE_BYTEA},
};

struct pg_params *pg_params_create(void) {
    return xcalloc(1, sizeof(struct pg_params));
}

void pg_params_destroy(struct pg_params *params) {
    if (!params) {
        return;
    }
    buffer_free(&params->bytes);
    free(params->offsets);
    free(params->nulls);
    free(params->lengths);
    free(params->formats);
    free(params->types);
    free(params->values);
    free(params);
}

void pg_params_reset(struct pg_params *params) {
    buffer_clear(&params->bytes);
    params->count = 0;
}

const char *const *pg_params_values(const struct pg_params *params) {
    for (size_t i = 0; i < params->count; i++) {
        params->values[i] = params->nulls[i] ? NULL : params->bytes.data + params->offsets[i];
    }
    return params->values;
}

static size_t pg_params_add(struct pg_params *params, Oid type, bool binary) {
    if (params->count == params->cap) {
        size_t cap = params->cap ? params->cap * 2 : 16;
        params->offsets = xrealloc(params->offsets, cap * sizeof *params->offsets);
        params->nulls = xrealloc(params->nulls, cap * sizeof *params->nulls);
        params->lengths = xrealloc(params->lengths, cap * sizeof *params->lengths);
        params->formats = xrealloc(params->formats, cap * sizeof *params->formats);
        params->types = xrealloc(params->types, cap * sizeof *params->types);
        params->values = xrealloc(params->values, cap * sizeof *params->values);
        params->cap = cap;
    }
    size_t i = params->count++;
    params->offsets[i] = params->bytes.len;
    params->nulls[i] = false;
    params->lengths[i] = 0;
    params->formats[i] = binary;
    params->types[i] = type;
    return i;
}

static void pg_params_add_fixed(struct pg_params *params, Oid type, const void *bytes, size_t len) {
    size_t i = pg_params_add(params, type, true);
    params->lengths[i] = (int)len;
    buffer_append(&params->bytes, bytes, len);
}

static uint64_t pg_params_float8_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return htobe64(bits);
}

void pg_params_add_null(struct pg_params *params) {
    size_t i = pg_params_add(params, 0, false); /* may reallocate params->nulls */
    params->nulls[i] = true;
}

void pg_params_add_text(struct pg_params *params, struct slice text) {
    if (!text.data) {
        pg_params_add_null(params);
        return;
    }
    /* libpq truncates text at a NUL: such a value is sent as binary, so that the server rejects it.
     */
    bool has_nul = text.len > 0 && memchr(text.data, 0, text.len);
    size_t i = pg_params_add(params, has_nul ? TYPE_TEXT : 0, has_nul);
    params->lengths[i] = (int)text.len;
    buffer_append(&params->bytes, text.data, text.len);
    buffer_append(&params->bytes, "", 1);
}

void pg_params_add_int8(struct pg_params *params, int64_t value) {
    uint64_t bits = htobe64((uint64_t)value);
    pg_params_add_fixed(params, TYPE_INT8, &bits, sizeof bits);
}

void pg_params_add_bool(struct pg_params *params, bool value) {
    char byte = value;
    pg_params_add_fixed(params, TYPE_BOOL, &byte, 1);
}

void pg_params_add_bytea(struct pg_params *params, struct slice bytes) {
    pg_params_add_fixed(params, TYPE_BYTEA, bytes.data, bytes.len);
}

/* ---- arrays ------------------------------------------------------------------------------- */

static void pg_params_put_int32(char *at, int32_t value) {
    uint32_t bits = htobe32((uint32_t)value);
    memcpy(at, &bits, sizeof bits);
}

static void pg_params_add_element(struct pg_params *params, const void *bytes, size_t len) {
    char length[4];
    pg_params_put_int32(length, (int32_t)len);
    buffer_append(&params->bytes, length, sizeof length);
    if (len > 0) {
        buffer_append(&params->bytes, bytes, len);
    }
    params->array_count++;
}

void pg_array_begin(struct pg_params *params, enum pg_array type) {
    static const char header[ARRAY_HEADER_BYTES];
    pg_params_add(params, array_types[type].array, true);
    params->array_type = type;
    params->array_start = params->bytes.len;
    params->array_count = 0;
    params->array_has_null = false;
    buffer_append(&params->bytes, header, sizeof header); /* filled in by pg_array_end */
}

void pg_array_null(struct pg_params *params) {
    char length[4];
    pg_params_put_int32(length, -1);
    buffer_append(&params->bytes, length, sizeof length);
    params->array_has_null = true;
    params->array_count++;
}

void pg_array_bytes(struct pg_params *params, struct slice bytes) {
    bytes.data ? pg_params_add_element(params, bytes.data, bytes.len) : pg_array_null(params);
}

void pg_array_int(struct pg_params *params, int64_t value) {
    uint64_t wide = htobe64((uint64_t)value);
    if (params->array_type == PG_ARRAY_BOOL) {
        char byte = value != 0;
        pg_params_add_element(params, &byte, 1);
    } else if (params->array_type == PG_ARRAY_INT4 && value >= INT32_MIN && value <= INT32_MAX) {
        char narrow[4];
        pg_params_put_int32(narrow, (int32_t)value);
        pg_params_add_element(params, narrow, sizeof narrow);
    } else {
        /* A value above int4 is sent as eight bytes: the server rejects it (22P03). */
        pg_params_add_element(params, &wide, sizeof wide);
    }
}

void pg_array_timestamp(struct pg_params *params, int64_t unix_us) {
    int64_t value;
    /* The limits of int64 mean infinity: sends a value that the server rejects (22008) instead. */
    if (__builtin_sub_overflow(unix_us, POSTGRES_EPOCH_UNIX_US, &value) || value == INT64_MIN ||
        value == INT64_MAX) {
        value = INT64_MIN + 1;
    }
    uint64_t bits = htobe64((uint64_t)value);
    pg_params_add_element(params, &bits, sizeof bits);
}

/* Days of int32 that mean infinity are beyond the years of date_parse. */
void pg_array_date(struct pg_params *params, int64_t unix_days) {
    char days[4];
    pg_params_put_int32(days, (int32_t)(unix_days - POSTGRES_EPOCH_UNIX_DAYS));
    pg_params_add_element(params, days, sizeof days);
}

void pg_array_float8(struct pg_params *params, double value) {
    uint64_t bits = pg_params_float8_bits(value);
    pg_params_add_element(params, &bits, sizeof bits);
}

void pg_array_end(struct pg_params *params) {
    char *header = params->bytes.data + params->array_start;
    bool empty = params->array_count == 0;
    pg_params_put_int32(header, empty ? 0 : 1);
    pg_params_put_int32(header + 4, params->array_has_null);
    pg_params_put_int32(header + 8, (int32_t)array_types[params->array_type].element);
    pg_params_put_int32(header + 12, params->array_count);
    pg_params_put_int32(header + 16, 1);
    if (empty) {
        params->bytes.len = params->array_start + EMPTY_ARRAY_HEADER_BYTES;
    }
    params->lengths[params->count - 1] = (int)(params->bytes.len - params->array_start);
}

static void pg_params_add_cell(struct pg_params *params, enum pg_array type, const char *at) {
    int64_t number;
    if (type == PG_ARRAY_TEXT || type == PG_ARRAY_BYTEA || type == PG_ARRAY_UUID) {
        pg_array_bytes(params, *(const struct slice *)(const void *)at);
        return;
    }
    memcpy(&number, at, sizeof number);
    if (type != PG_ARRAY_TIMESTAMPTZ) {
        pg_array_int(params, number);
    } else if (number == INT64_MIN) {
        pg_array_null(params);
    } else {
        pg_array_timestamp(params, number);
    }
}

void pg_params_add_rows(struct pg_params *params, const struct pg_column *columns,
                        size_t column_count, const void *rows, size_t row_count, size_t row_bytes) {
    for (size_t c = 0; c < column_count; c++) {
        pg_array_begin(params, columns[c].type);
        for (size_t r = 0; r < row_count; r++) {
            pg_params_add_cell(params, columns[c].type,
                               (const char *)rows + r * row_bytes + columns[c].offset);
        }
        pg_array_end(params);
    }
}
