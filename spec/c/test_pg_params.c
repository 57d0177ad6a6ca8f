/* pg_params: sizes of values, scalars, arrays and rows of structs. Needs PG_TEST_URL. */
#include <stddef.h>

#include "pg_server.h"

/* ---- sizes -------------------------------------------------------------------------------- */

static void large_values_go_both_ways_at_once(void) {
    open_server();
    struct pg_params *params = pg_params_create();
    size_t len = 10 * 1024 * 1024;
    char *text = malloc(len);
    memset(text, 'x', len);
    pg_params_add_text(params, (struct slice){text, len});
    PGresult *result = NULL;
    CHECK_OK(pg_query(pg, "echo", "SELECT $1::text", params, WAIT_MS, &result, &err), &err);
    CHECK(result && PQgetlength(result, 0, 0) == (int)len);
    CHECK(result && memcmp(PQgetvalue(result, 0, 0), text, len) == 0);
    PQclear(result);
    free(text);
    pg_params_destroy(params);
    close_server();
}

/* Results over 16 KB a statement while parameters of as many still wait to be sent: a client that
 * only writes would wait for ever for a server that only writes. */
static void many_large_statements_do_not_deadlock(void) {
    open_server();
    struct pg_params *params = pg_params_create();
    char *text = malloc(200000);
    memset(text, 'y', 200000);
    pg_params_add_text(params, (struct slice){text, 200000});
    for (int i = 0; i < 60; i++) {
        CHECK(pg_send(pg, "echo", "SELECT $1::text", params, false, &err));
    }
    CHECK_OK(pg_finish(pg, WAIT_MS, NULL, NULL, &err), &err);
    free(text);
    pg_params_destroy(params);
    close_server();
}

static void many_rows(void) {
    open_server();
    PGresult *result = NULL;
    CHECK_OK(
        pg_query(pg, "rows", "SELECT generate_series(1, 300000)", NULL, WAIT_MS, &result, &err),
        &err);
    CHECK_INT(result ? PQntuples(result) : 0, 300000);
    PQclear(result);
    close_server();
}

/* ---- parameters --------------------------------------------------------------------------- */

static void scalars_arrive_exact(void) {
    open_server();
    struct pg_params *params = pg_params_create();
    pg_params_add_int8(params, INT64_MIN);
    pg_params_add_bool(params, true);
    pg_params_add_null(params);
    pg_params_add_text(params, slice_of("2025-06-28"));
    pg_params_add_text(params, (struct slice){0});
    CHECK_TEXT(ask_with("SELECT concat_ws('|', $1::int8, $2::bool, coalesce($3::text, 'null'), "
                        "$4::date, coalesce($5::int, -1))",
                        params),
               "-9223372036854775808|t|null|2025-06-28|-1");
    pg_params_destroy(params);
    close_server();
}

static void arrays_arrive_exact(void) {
    open_server();
    struct pg_params *params = pg_params_create();
    static const uint8_t uuid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    pg_array_begin(params, PG_ARRAY_TEXT);
    pg_array_bytes(params, slice_of("a,\"{}\\"));
    pg_array_null(params);
    pg_array_bytes(params, slice_of(""));
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_INT4);
    pg_array_int(params, INT32_MIN);
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_TIMESTAMPTZ);
    pg_array_timestamp(params, -62135596800000000);
    pg_array_timestamp(params, 253402300799999999);
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_UUID);
    pg_array_bytes(params, (struct slice){(const char *)uuid, 16});
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_BOOL);
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_BYTEA);
    pg_array_bytes(params, (struct slice){"\0\xff", 2});
    pg_array_end(params);
    CHECK_TEXT(
        ask_with("SELECT json_build_array($1::text[], $2::int4[], ($3::timestamptz[])[1] AT TIME "
                 "ZONE 'UTC', ($3::timestamptz[])[2] AT TIME ZONE 'UTC', $4::uuid[], $5::bool[], "
                 "encode(($6::bytea[])[1], 'hex'))",
                 params),
        "[[\"a,\\\"{}\\\\\",null,\"\"], [-2147483648], \"0001-01-01T00:00:00\", "
        "\"9999-12-31T23:59:59.999999\", [\"01020304-0506-0708-090a-0b0c0d0e0f10\"], [], "
        "\"00ff\"]");
    pg_params_destroy(params);
    close_server();
}

/* What a type cannot hold is refused whole as data; half of it is never stored. */
static void values_that_do_not_fit_are_refused_as_data(void) {
    open_server();
    struct pg_params *params = pg_params_create();
    pg_params_add_text(params, (struct slice){"a\0b", 3});
    CHECK(!pg_query(pg, "nul", "SELECT $1::text", params, WAIT_MS, NULL, &err));
    CHECK_TEXT(err.sqlstate, "22021");
    CHECK_INT(err.kind, ERR_INPUT);
    pg_params_reset(params);
    pg_params_add_text(params, slice_of("\xff"));
    CHECK(!pg_query(pg, "bytes", "SELECT $1::text", params, WAIT_MS, NULL, &err));
    CHECK_TEXT(err.sqlstate, "22021");
    pg_params_reset(params);
    pg_array_begin(params, PG_ARRAY_INT4);
    pg_array_int(params, 2147483648LL);
    pg_array_end(params);
    CHECK(!pg_query(pg, "int4", "SELECT $1::int4[]", params, WAIT_MS, NULL, &err));
    CHECK_INT(err.kind, ERR_INPUT);
    /* Postgres' infinities and values beyond them are not valid times of events. */
    static const int64_t times[] = {INT64_MIN, INT64_MIN + 946684800000000LL};
    for (size_t i = 0; i < 2; i++) {
        pg_params_reset(params);
        pg_array_begin(params, PG_ARRAY_TIMESTAMPTZ);
        pg_array_timestamp(params, times[i]);
        pg_array_end(params);
        CHECK(!pg_query(pg, "time", "SELECT $1::timestamptz[]", params, WAIT_MS, NULL, &err));
        CHECK_TEXT(err.sqlstate, "22008");
        CHECK_INT(err.kind, ERR_INPUT);
    }
    still_works(pg);
    pg_params_destroy(params);
    close_server();
}

static void one_name_with_two_types_is_two_statements(void) {
    open_server();
    struct pg_params *params = pg_params_create();
    for (int round = 0; round < 2; round++) {
        pg_params_add_int8(params, 5);
        CHECK_TEXT(ask_with("SELECT pg_typeof($1)::text", params), "bigint");
        pg_params_add_bool(params, true);
        CHECK_TEXT(ask_with("SELECT pg_typeof($1)::text", params), "boolean");
    }
    pg_params_destroy(params);
    close_server();
}

static void one_name_with_two_texts_is_two_statements(void) {
    open_server();
    for (int round = 0; round < 2; round++) {
        CHECK_TEXT(ask(pg, "same", "SELECT 'of one generation'"), "of one generation");
        CHECK_TEXT(ask(pg, "same", "SELECT 'of the next'"), "of the next");
    }
    close_server();
}

/* ---- rows --------------------------------------------------------------------------------- */

struct cells {
    struct slice text, bytes, uuid;
    int64_t small, large, flag, time_us;
};

static const struct pg_column columns[] = {
    {PG_ARRAY_TEXT, offsetof(struct cells, text)},
    {PG_ARRAY_BYTEA, offsetof(struct cells, bytes)},
    {PG_ARRAY_UUID, offsetof(struct cells, uuid)},
    {PG_ARRAY_INT4, offsetof(struct cells, small)},
    {PG_ARRAY_INT8, offsetof(struct cells, large)},
    {PG_ARRAY_BOOL, offsetof(struct cells, flag)},
    {PG_ARRAY_TIMESTAMPTZ, offsetof(struct cells, time_us)},
};

#define COLUMN_COUNT (sizeof columns / sizeof *columns)
#define ROWS_SQL                                                                                   \
    "SELECT coalesce(json_agg(json_build_array(t, encode(b, 'hex'), u, s, l, f, "                  \
    "at AT TIME ZONE 'UTC') ORDER BY n)::text, 'none') FROM unnest($1::text[], $2::bytea[], "      \
    "$3::uuid[], $4::int4[], $5::int8[], $6::bool[], $7::timestamptz[]) "                          \
    "WITH ORDINALITY AS row (t, b, u, s, l, f, at, n)"

static void rows_arrive_as_one_array_a_column(void) {
    open_server();
    struct pg_params *params = pg_params_create();
    static const char uuid[] = "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20";
    const struct cells rows[] = {
        {.text = slice_of("a,\"{}"),
         .bytes = {"\0\xff", 2},
         .uuid = {uuid, 16},
         .small = INT32_MIN,
         .large = INT64_MIN,
         .flag = 1,
         .time_us = 253402300799999999},
        {.time_us = INT64_MIN},
        {.text = slice_of(""), .bytes = slice_of(""), .small = INT32_MAX, .large = INT64_MAX},
    };
    pg_params_add_rows(params, columns, COLUMN_COUNT, rows, 3, sizeof *rows);
    CHECK_TEXT(ask_with(ROWS_SQL, params),
               "[[\"a,\\\"{}\", \"00ff\", \"01020304-0506-0708-090a-0b0c0d0e0f10\", -2147483648, "
               "-9223372036854775808, true, \"9999-12-31T23:59:59.999999\"], "
               "[null, null, null, 0, 0, false, null], "
               "[\"\", \"\", null, 2147483647, 9223372036854775807, false, "
               "\"1970-01-01T00:00:00\"]]");
    pg_params_destroy(params);
    close_server();
}

static void no_rows_arrive_as_empty_arrays(void) {
    open_server();
    struct pg_params *params = pg_params_create();
    pg_params_add_rows(params, columns, COLUMN_COUNT, NULL, 0, sizeof(struct cells));
    CHECK_TEXT(ask_with(ROWS_SQL, params), "none");
    pg_params_destroy(params);
    close_server();
}

static void rows_follow_the_parameters_before_them(void) {
    open_server();
    struct pg_params *params = pg_params_create();
    const struct cells rows[] = {{.large = 1}, {.large = 2}};
    pg_params_add_text(params, slice_of("before"));
    pg_params_add_rows(params, &columns[4], 1, rows, 2, sizeof *rows);
    pg_params_add_bool(params, true);
    CHECK_TEXT(ask_with("SELECT json_build_array($1::text, $2::int8[], $3::bool)", params),
               "[\"before\", [1,2], true]");
    pg_params_destroy(params);
    close_server();
}

static const struct test_case cases[] = {
    {"10 MB go both ways at once", large_values_go_both_ways_at_once},
    {"many large statements do not deadlock", many_large_statements_do_not_deadlock},
    {"many rows", many_rows},
    {"scalars arrive exact", scalars_arrive_exact},
    {"arrays arrive exact", arrays_arrive_exact},
    {"values that do not fit are refused as data", values_that_do_not_fit_are_refused_as_data},
    {"one name with two types is two statements", one_name_with_two_types_is_two_statements},
    {"one name with two texts is two statements", one_name_with_two_texts_is_two_statements},
    {"rows arrive as one array a column", rows_arrive_as_one_array_a_column},
    {"no rows arrive as empty arrays", no_rows_arrive_as_empty_arrays},
    {"rows follow the parameters before them", rows_follow_the_parameters_before_them},
};

TEST_MAIN(cases)
