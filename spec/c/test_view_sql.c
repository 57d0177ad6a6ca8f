/* view_sql: the upsert merges in Postgres exactly as merge does in memory. Needs PG_TEST_URL. */
#include <stdlib.h>

#include "../../bindings/pg.h"
#include "../../host/view_sql.h"
#include "test.h"

#define WAIT_MS 10000

static struct view_column name_columns[] = {{"name", VIEW_TEXT, "text"},
                                            {"ids", VIEW_TEXTS, "text[]"}};
static struct view_column count_columns[] = {{"total", VIEW_INTEGER, "integer"}};
static struct view_column seen_columns[] = {{"seen_at", VIEW_TIMESTAMP, "timestamptz"}};
static struct view_table table = {
    .name = "view_sql_things",
    .key = {{"id", VIEW_TEXT, "text"}},
    .key_count = 1,
    .content_group = -1,
    .groups = {{"newest", VIEW_LATEST, name_columns, 2},
               {"oldest", VIEW_FIRST, count_columns, 1},
               {"seen", VIEW_MIN, seen_columns, 1}},
    .group_count = 3,
};
static const struct view view = {&table, 1};

static const char create_sql[] =
    "DROP TABLE IF EXISTS view_sql_things; CREATE TABLE view_sql_things (id text PRIMARY KEY, "
    "newest_at timestamptz, newest_event_id uuid, name text, ids text[], oldest_at timestamptz, "
    "oldest_event_id uuid, total integer, seen_at timestamptz)";
static const char dump_sql[] =
    "SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY id), '') FROM view_sql_things t";

static struct pg *pg;
static struct pg_params *params;

static void fail_on(bool ok, const struct err *err) {
    if (!ok) {
        printf("    %s\n", err->text);
    }
    CHECK(ok);
}

static bool connect_to_server(void) {
    const char *url = getenv("PG_TEST_URL");
    struct pg_options options = {.url = url,
                                 .application_name = "test_view_sql",
                                 .connect_timeout_ms = 5000,
                                 .statement_timeout_ms = 5000};
    struct err err = {0};
    CHECK(url != NULL);
    if (!url) {
        return false;
    }
    pg = pg_create(&options);
    params = pg_params_create();
    bool ok = pg_connect(pg, &err);
    fail_on(ok, &err);
    return ok;
}

static void disconnect(void) {
    pg_destroy(pg);
    pg_params_destroy(params);
}

/* A small generator of its own, so that a seed means the same everywhere. */
static uint32_t draw(uint32_t *state, uint32_t below) {
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % below;
}

static void stage_random(struct merge *merge, uint32_t *seed) {
    static const char *const ids[] = {"a", "b", "c", "d"};
    static const char *const lists[] = {"{}", "{x,\"y z\"}", "{NULL}"};
    struct view_value *values = arena_alloc(merge_arena(merge), 3 * sizeof *values);
    size_t group = draw(seed, 3);
    int64_t at_us = 1750000000000000 + draw(seed, 6);
    values[0] = (struct view_value){.as.text = slice_of(ids[draw(seed, 4)])};
    struct merge_version version = {at_us, {(uint8_t)draw(seed, 5)}};
    uint32_t meaning = (uint32_t)at_us * 31 + version.event_id[0]; /* one version, one content */
    if (group == 0) {
        values[1] = (struct view_value){.as.text = slice_of(ids[meaning % 4])};
        values[2] = (struct view_value){.is_null = meaning % 5 == 0,
                                        .as.text = slice_of(lists[meaning % 3])};
    } else if (group == 1) {
        values[1] = (struct view_value){.is_null = meaning % 4 == 0, .as.integer = meaning % 100};
    } else {
        values[1] = (struct view_value){.as.integer = at_us};
    }
    struct merge_op op = {values, 0, group, &values[1]};
    merge_stage(merge, &op, version);
    merge_accept(merge, 0);
}

static void write_rows(struct merge *merge) {
    size_t count;
    struct merge_row *const *rows = merge_rows(merge, 0, &count);
    struct buffer sql = {0};
    struct err err = {0};
    uint32_t groups = view_sql_groups(&table, rows, count);
    view_sql_upsert(&table, groups, &sql);
    view_sql_params(&table, groups, rows, count, params);
    char name[16];
    snprintf(name, sizeof name, "upsert_%u", groups);
    static char *kept[8]; /* pg keeps the text of a prepared statement */
    if (!kept[groups]) {
        kept[groups] = strdup(sql.data);
    }
    static char names[8][16];
    memcpy(names[groups], name, sizeof name);
    fail_on(pg_query(pg, names[groups], kept[groups], params, WAIT_MS, NULL, &err), &err);
    buffer_free(&sql);
}

static char *apply_stream(uint32_t seed, size_t events, size_t per_batch) {
    struct merge *merge = merge_create(&view);
    struct err err = {0};
    PGresult *dump = NULL;
    fail_on(pg_script(pg, create_sql, WAIT_MS, &err), &err);
    for (size_t i = 0; i < events; i++) {
        stage_random(merge, &seed);
        if ((i + 1) % per_batch == 0 || i + 1 == events) {
            write_rows(merge);
            merge_reset(merge, &view);
        }
    }
    fail_on(pg_query(pg, "dump", dump_sql, NULL, WAIT_MS, &dump, &err), &err);
    char *text = strdup(dump ? PQgetvalue(dump, 0, 0) : "");
    PQclear(dump);
    merge_destroy(merge);
    return text;
}

static void memory_and_database_merge_alike(void) {
    if (!connect_to_server()) {
        return;
    }
    for (uint32_t seed = 1; seed <= 40 && !test_failed; seed++) {
        char *one_by_one = apply_stream(seed, 30, 1);
        char *in_batches = apply_stream(seed, 30, 7);
        char *at_once = apply_stream(seed, 30, 30);
        CHECK_TEXT(in_batches, one_by_one);
        CHECK_TEXT(at_once, one_by_one);
        if (test_failed) {
            printf("    seed %u\n", seed);
        }
        free(one_by_one);
        free(in_batches);
        free(at_once);
    }
    disconnect();
}

static void a_schema_that_differs_is_named(void) {
    if (!connect_to_server()) {
        return;
    }
    struct err err = {0};
    fail_on(pg_script(pg, create_sql, WAIT_MS, &err), &err);
    fail_on(view_sql_check(pg, &view, WAIT_MS, &err), &err);
    fail_on(pg_script(pg, "ALTER TABLE view_sql_things ALTER total TYPE bigint", WAIT_MS, &err),
            &err);
    CHECK(!view_sql_check(pg, &view, WAIT_MS, &err));
    CHECK(strstr(err.text, "view_sql_things.total as integer, the database has bigint"));
    fail_on(pg_script(pg, "DROP TABLE view_sql_things", WAIT_MS, &err), &err);
    disconnect();
}

static const struct test_case cases[] = {
    {"memory and database merge alike", memory_and_database_merge_alike},
    {"a schema that differs is named", a_schema_that_differs_is_named},
};

TEST_MAIN(cases)
