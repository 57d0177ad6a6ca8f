/* view_sql: the upsert merges in Postgres like merge in memory, for every rule and type, from any
 * number of connections. Needs PG_TEST_URL. */
#include <libpq-fe.h>
#include "view/view_check.h"
#include "view/view_sql.h"

#include <pthread.h>

#include "bindings/pg.h"
#include "shuffle.h"

#define WAIT_MS 10000
#define FACTS 60

static struct view_column all_columns[] = {
    {"name", VIEW_TEXT, "text", .is_id = false},
    {"ids", VIEW_TEXTS, "text[]", .is_id = false},
    {"total", VIEW_INTEGER, "integer", .is_id = false},
    {"counts", VIEW_INTEGERS, "integer[]", .is_id = false},
    {"score", VIEW_DOUBLE, "double precision", .is_id = false},
    {"scores", VIEW_DOUBLES, "double precision[]", .is_id = false},
    {"done", VIEW_BOOLEAN, "boolean", .is_id = false},
    {"seen", VIEW_TIMESTAMP, "timestamptz", .is_id = false},
    {"raw", VIEW_JSON, "json", .is_id = false},
    {"mood", VIEW_ENUM, "view_sql_mood", .is_id = false},
    {"moods", VIEW_ENUM, "view_sql_mood[]", .is_id = false}};
#define ALL_COUNT (sizeof all_columns / sizeof *all_columns)
static struct view_column note_columns[] = {{"note", VIEW_TEXT, "text", .is_id = false}};
static struct view_column first_seen[] = {
    {"first_seen", VIEW_TIMESTAMP, "timestamptz", .is_id = false}};
static struct view_column last_seen[] = {
    {"last_seen", VIEW_TIMESTAMP, "timestamptz", .is_id = false}};
static struct view_column lowest[] = {{"lowest", VIEW_DOUBLE, "double precision", .is_id = false}};
static struct view_column highest_word[] = {{"highest_word", VIEW_TEXT, "text", .is_id = false}};
static struct view_column ever[] = {{"ever", VIEW_BOOLEAN, "boolean", .is_id = false}};
static struct view_table tables[] = {
    {.name = "view_sql_things",
     .key = {{"id", VIEW_TEXT, "text", .is_id = false},
             {"part", VIEW_TEXT, "text", .is_id = false}},
     .key_count = 2,
     .content_group = -1,
     .groups = {{"newest", VIEW_LATEST, all_columns, .column_count = ALL_COUNT},
                {"oldest", VIEW_FIRST, note_columns, .column_count = 1},
                {"seen", VIEW_MIN, first_seen, .column_count = 1},
                {"left", VIEW_MAX, last_seen, .column_count = 1},
                {"low", VIEW_MIN, lowest, .column_count = 1},
                {"word", VIEW_MAX, highest_word, .column_count = 1},
                {"once", VIEW_MAX, ever, .column_count = 1}},
     .group_count = 7},
    {.name = "view_sql_facts",
     .key = {{"id", VIEW_TEXT, "text", .is_id = false},
             {"content_id", VIEW_CONTENT, "uuid", .is_id = false}},
     .key_count = 2,
     .content_group = 0,
     .groups = {{"fact", VIEW_FIRST, note_columns, .column_count = 1},
                {"restated", VIEW_LATEST, NULL, .column_count = 0}},
     .group_count = 2},
};
static const struct view view = {.tables = tables, .table_count = 2};

static const char create_sql[] =
    "DROP TABLE IF EXISTS view_sql_things, view_sql_facts; DROP TYPE IF EXISTS view_sql_mood;"
    "CREATE TYPE view_sql_mood AS ENUM ('sad', 'glad', 'angry');"
    "CREATE TABLE view_sql_things (id text, part text, newest_at timestamptz, "
    "newest_event_id uuid, name text, ids text[], total integer, counts integer[], "
    "score double precision, scores double precision[], done boolean, seen timestamptz, raw json, "
    "mood view_sql_mood, moods view_sql_mood[], oldest_at timestamptz, oldest_event_id uuid, "
    "note text, first_seen timestamptz, last_seen timestamptz, lowest double precision, "
    "highest_word text COLLATE \"und-x-icu\", ever boolean, PRIMARY KEY (id, part));"
    "CREATE TABLE view_sql_facts (id text, content_id uuid, fact_at timestamptz, "
    "fact_event_id uuid, note text, restated_at timestamptz, restated_event_id uuid, "
    "PRIMARY KEY (id, content_id))";
static const char clear_sql[] = "TRUNCATE view_sql_things, view_sql_facts";
static const char drop_sql[] =
    "DROP TABLE view_sql_things, view_sql_facts; DROP TYPE view_sql_mood";
static const char dump_sql[] =
    "SELECT coalesce(string_agg(line, E'\\n' ORDER BY line COLLATE \"C\"), '') FROM "
    "(SELECT t::text FROM view_sql_things t UNION ALL SELECT t::text FROM view_sql_facts t) "
    "AS r (line)";

/* A connection with its buffers for writing. */
struct writer {
    struct pg *pg;
    struct pg_params *params;
    char names[2][128][24]; /* pg keeps names and texts of prepared statements */
    char *statements[2][128];
};

static struct writer *writer_open(void) {
    struct pg_options options = {.url = test_url("PG_TEST_URL"),
                                 .application_name = "test_view_sql",
                                 .connect_timeout_ms = 5000,
                                 .statement_timeout_ms = 5000};
    struct writer *writer = calloc(1, sizeof *writer);
    struct err err = {0};
    writer->pg = pg_create(&options);
    writer->params = pg_params_create();
    CHECK_OK(pg_connect(writer->pg, &err), &err);
    return writer;
}

static void writer_close(struct writer *writer) {
    pg_destroy(writer->pg);
    pg_params_destroy(writer->params);
    for (size_t i = 0; i < 256; i++) {
        free(writer->statements[i / 128][i % 128]);
    }
    free(writer);
}

static void script(struct writer *writer, const char *sql) {
    struct err err = {0};
    CHECK_OK(pg_script(writer->pg, sql, WAIT_MS, &err), &err);
}

/* ---- random operations -------------------------------------------------------------------- */

/* One operation of one event. What it says depends on its version alone. */
struct fact {
    size_t table, group;
    const char *id, *part;
    int64_t at_us;
    uint8_t event_id;
};

static const char *const words[] = {"a", "B", "Ab", "aB", "\xC3\xA9", "z", "", "a b,\"{}\\'"};

static struct fact draw_fact(uint32_t *seed) {
    struct fact fact = {.table = test_draw(seed, 4) == 0};
    fact.group = test_draw(seed, fact.table ? 1 : 7);
    fact.id = words[test_draw(seed, 3)];
    fact.part = words[test_draw(seed, 2)];
    fact.at_us = 1750000000000000 + test_draw(seed, 6);
    fact.event_id = (uint8_t)test_draw(seed, 5);
    return fact;
}

static struct view_value value_for(const struct view_column *column, uint32_t *draw) {
    static const char *const lists[] = {"{}", "{x,\"y z\"}", "{NULL,\"a\\\"b\\\\\"}"};
    static const char *const integers[] = {"{}", "{1,-2147483648}", "{NULL}"};
    static const char *const doubles[] = {"{}", "{2.998155,-1e300}", "{NULL,0.1}"};
    static const char *const documents[] = {"{\"k\":[1,\"\xC3\xA9\"]}", "[]", "{\"a\":1,\"a\":2}"};
    static const char *const moods[] = {"sad", "glad", "angry"};
    static const char *const mood_lists[] = {"{}", "{angry,sad}", "{NULL}"};
    static const double numbers[] = {0, -1.5, 2.998155, 1e-300, 0.1};
    struct view_value value = {.is_null = test_draw(draw, 5) == 0};
    uint32_t choice = test_draw(draw, 3);
    switch (column->type) {
    case VIEW_TEXTS:
        value.as.text = slice_of(lists[choice]);
        break;
    case VIEW_INTEGER:
        value.as.integer = (int64_t)test_draw(draw, 0x7fffffff) - 0x3fffffff;
        break;
    case VIEW_INTEGERS:
        value.as.text = slice_of(integers[choice]);
        break;
    case VIEW_DOUBLE:
        value.as.number = numbers[test_draw(draw, 5)];
        break;
    case VIEW_DOUBLES:
        value.as.text = slice_of(doubles[choice]);
        break;
    case VIEW_BOOLEAN:
        value.as.integer = choice & 1;
        break;
    case VIEW_TIMESTAMP:
        value.as.integer = 1750000000000000 + test_draw(draw, 10);
        break;
    case VIEW_JSON:
        value.as.text = slice_of(documents[choice]);
        break;
    case VIEW_ENUM:
        value.as.text =
            slice_of(strchr(column->sql_type, '[') ? mood_lists[choice] : moods[choice]);
        break;
    default:
        value.as.text = slice_of(words[test_draw(draw, 8)]);
    }
    return value;
}

static void stage_fact(struct merge *merge, const struct fact *fact) {
    const struct view_group *group = &tables[fact->table].groups[fact->group];
    struct view_value *values = arena_alloc(merge_arena(merge), (2 + ALL_COUNT) * sizeof *values);
    uint32_t draw = (uint32_t)(fact->at_us % 1000) * 31 + fact->event_id + (uint32_t)fact->group;
    values[0] = (struct view_value){.as.text = slice_of(fact->id)};
    values[1] = (struct view_value){.as.text = slice_of(fact->part)};
    for (size_t c = 0; c < group->column_count; c++) {
        values[2 + c] = value_for(&group->columns[c], &draw);
    }
    struct merge_op op = {values, fact->table, fact->group, &values[2]};
    struct merge_version version = {fact->at_us, {fact->event_id}};
    merge_stage(merge, &op, version);
    if (fact->table == 1) {
        struct merge_op restated = {values, 1, 1, values};
        merge_stage(merge, &restated, version);
    }
}

static void write_table(struct writer *writer, struct merge *merge, size_t table) {
    size_t count;
    struct merge_row *const *rows = merge_rows(merge, table, &count);
    if (count == 0) {
        return;
    }
    uint32_t groups = view_sql_groups(&tables[table], rows, count);
    if (!writer->statements[table][groups]) {
        struct buffer sql = {0};
        view_sql_upsert(&tables[table], groups, &sql);
        writer->statements[table][groups] = sql.data;
        snprintf(writer->names[table][groups], 24, "upsert_%zu_%u", table, groups);
    }
    view_sql_params(&tables[table], groups, rows, count, writer->params);
    struct err err = {0};
    CHECK_OK(pg_query(writer->pg, writer->names[table][groups], writer->statements[table][groups],
                      writer->params, WAIT_MS, NULL, &err),
             &err);
}

/* Applies the facts in order, in batches of the given size. */
static void apply(struct writer *writer, const struct fact *facts, size_t count, size_t per_batch) {
    struct merge *merge = merge_create(&view);
    for (size_t i = 0; i < count; i++) {
        stage_fact(merge, &facts[i]);
        merge_accept(merge, i);
        if ((i + 1) % per_batch == 0 || i + 1 == count) {
            write_table(writer, merge, 0);
            write_table(writer, merge, 1);
            merge_reset(merge, &view);
        }
    }
    merge_destroy(merge);
}

static char *dump(struct writer *writer) {
    PGresult *result = NULL;
    struct err err = {0};
    CHECK_OK(pg_query(writer->pg, "dump", dump_sql, NULL, WAIT_MS, &result, &err), &err);
    char *text = strdup(result ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return text;
}

static void check_dump(struct writer *writer, char **want, uint32_t seed, const char *how) {
    char *got = dump(writer);
    if (!*want) {
        *want = got;
        return;
    }
    if (strcmp(got, *want) != 0) {
        TEST_FAIL("seed %u, %s:\n%s\nwant\n%s", seed, how, got, *want);
    }
    free(got);
}

static void memory_and_database_merge_alike(void) {
    struct writer *writer = writer_open();
    script(writer, create_sql);
    for (uint32_t round = 1; round <= 40 && !test_failed; round++) {
        uint32_t seed = round;
        struct fact facts[FACTS];
        char *want = NULL;
        for (size_t i = 0; i < FACTS; i++) {
            facts[i] = draw_fact(&seed);
        }
        static const size_t batches[] = {1, FACTS, 7, 13};
        for (size_t i = 0; i < 4; i++) {
            script(writer, clear_sql);
            apply(writer, facts, FACTS, batches[i]);
            check_dump(writer, &want, round, "in order");
            apply(writer, facts, FACTS, 9); /* all of it once more */
            check_dump(writer, &want, round, "repeated");
            shuffle(facts, FACTS, sizeof *facts, &seed);
        }
        free(want);
    }
    script(writer, drop_sql);
    writer_close(writer);
}

struct half {
    struct writer *writer;
    const struct fact *facts;
    size_t count;
};

static void *apply_half(void *argument) {
    struct half *half = argument;
    apply(half->writer, half->facts, half->count, 6);
    return NULL;
}

/* Rows are written in the order of their keys, so that two writers cannot deadlock. */
static void two_connections_at_once_give_the_same_rows(void) {
    struct writer *one = writer_open(), *two = writer_open();
    script(one, create_sql);
    for (uint32_t round = 1; round <= 25 && !test_failed; round++) {
        uint32_t seed = round;
        struct fact facts[FACTS];
        char *want = NULL;
        for (size_t i = 0; i < FACTS; i++) {
            facts[i] = draw_fact(&seed);
        }
        script(one, clear_sql);
        apply(one, facts, FACTS, 1);
        check_dump(one, &want, round, "alone");
        for (int repeat = 0; repeat < 3; repeat++) {
            script(one, clear_sql);
            shuffle(facts, FACTS, sizeof *facts, &seed);
            struct half halves[2] = {{one, facts, 40}, {two, facts + 20, 40}};
            pthread_t thread;
            pthread_create(&thread, NULL, apply_half, &halves[1]);
            apply_half(&halves[0]);
            pthread_join(thread, NULL);
            check_dump(one, &want, round, "two at once");
        }
        free(want);
    }
    script(one, drop_sql);
    writer_close(one);
    writer_close(two);
}

static void a_row_that_loses_is_not_written(void) {
    struct writer *writer = writer_open();
    script(writer, create_sql);
    struct fact newer = {0, 0, "a", "p", 1750000000000005, 1};
    struct fact older = {0, 0, "a", "p", 1750000000000004, 9};
    apply(writer, &newer, 1, 1);
    PGresult *before = NULL, *after = NULL;
    struct err err = {0};
    static const char sql[] = "SELECT xmin::text || ctid::text FROM view_sql_things";
    CHECK_OK(pg_query(writer->pg, "row", sql, NULL, WAIT_MS, &before, &err), &err);
    apply(writer, &older, 1, 1);
    apply(writer, &newer, 1, 1);
    CHECK_OK(pg_query(writer->pg, "row", sql, NULL, WAIT_MS, &after, &err), &err);
    CHECK_TEXT(PQgetvalue(after, 0, 0), PQgetvalue(before, 0, 0));
    PQclear(before);
    PQclear(after);
    script(writer, drop_sql);
    writer_close(writer);
}

/* ---- the schema --------------------------------------------------------------------------- */

static void differs(struct writer *writer, const char *sql, const char *what) {
    struct err err = {0};
    script(writer, create_sql);
    CHECK_OK(view_sql_check(writer->pg, &view, WAIT_MS, &err), &err);
    script(writer, sql);
    CHECK(!view_sql_check(writer->pg, &view, WAIT_MS, &err));
    CHECK_HAS(err.text, what);
}

static void a_schema_that_differs_is_named(void) {
    struct writer *writer = writer_open();
    differs(writer, "ALTER TABLE view_sql_things ALTER total TYPE bigint",
            "table view_sql_things: column total: the view declares it as integer, the database "
            "has bigint: run `aggregator migrate`, after a migration of your own with ALTER TABLE");
    differs(writer, "ALTER TABLE view_sql_things DROP newest_event_id",
            "table view_sql_things: column newest_event_id: the view declares it as uuid, the "
            "database has no such column");
    differs(writer, "ALTER TABLE view_sql_things ALTER newest_at TYPE timestamp",
            "table view_sql_things: column newest_at: the view declares it as timestamp with time "
            "zone, the database has timestamp "
            "without time zone");
    differs(writer, "ALTER TABLE view_sql_things ALTER moods TYPE text[]",
            "table view_sql_things: column moods: the view declares it as view_sql_mood[], the "
            "database has text[]");
    differs(
        writer, "ALTER TABLE view_sql_things ALTER ids TYPE text USING ''",
        "table view_sql_things: column ids: the view declares it as text[], the database has text");
    differs(writer, "ALTER TABLE view_sql_facts RENAME content_id TO other",
            "table view_sql_facts: column content_id: the view declares it as uuid, the database "
            "has no such column");
    differs(writer, "DROP TABLE view_sql_facts",
            "table view_sql_facts: the database has no such table");
    differs(writer, "ALTER TABLE view_sql_things DROP CONSTRAINT view_sql_things_pkey",
            "table view_sql_things: the table needs a primary key or unique index on exactly "
            "(\"id\", \"part\")");
    differs(writer,
            "ALTER TABLE view_sql_things DROP CONSTRAINT view_sql_things_pkey; CREATE UNIQUE INDEX "
            "ON view_sql_things (id, part) WHERE total > 0",
            "table view_sql_things: the table needs a primary key or unique index");
    differs(writer, "ALTER TABLE view_sql_things ADD extra jsonb NOT NULL",
            "table view_sql_things: column extra: it is NOT NULL without a default and not in "
            "the view");
    differs(
        writer, "DROP TABLE view_sql_facts; ALTER TABLE view_sql_things ALTER total TYPE bigint",
        "no such table: run `aggregator migrate`, after `aggregator new migration NAME` if no "
        "migration makes it, or correct scripts/view.lua\ntable view_sql_things: column total: ");
    script(writer, create_sql);
    script(writer,
           "ALTER TABLE view_sql_things ADD few integer NOT NULL DEFAULT 1; ALTER TABLE "
           "view_sql_things ADD own integer NOT NULL GENERATED ALWAYS AS IDENTITY; ALTER TABLE "
           "view_sql_things ADD extra jsonb; ALTER TABLE view_sql_things DROP "
           "CONSTRAINT view_sql_things_pkey; CREATE UNIQUE INDEX ON view_sql_things (part, id)");
    struct err err = {0};
    CHECK_OK(view_sql_check(writer->pg, &view, WAIT_MS, &err), &err);
    script(writer, drop_sql);
    writer_close(writer);
}

static void an_unknown_type_suggests_the_nearest(void) {
    static struct view_column wrong[] = {{"n", VIEW_ENUM, "intger", .is_id = false},
                                         {"m", VIEW_ENUM, "view_sql_mod", .is_id = false},
                                         {"o", VIEW_ENUM, "ids", .is_id = false}};
    static struct view_table table = {
        .name = "view_sql_things",
        .content_group = -1,
        .key = {{"id", VIEW_TEXT, "text", .is_id = false},
                {"part", VIEW_INTEGER, "integer", .is_id = false}},
        .key_count = 2,
        .group_count = 1,
        .groups = {{.name = "g", .rule = VIEW_MIN, .columns = wrong, .column_count = 3}}};
    static const struct view mistaken = {.tables = &table, .table_count = 1};
    struct writer *writer = writer_open();
    struct err err = {0};
    script(writer, create_sql);
    CHECK(!view_sql_check(writer->pg, &mistaken, WAIT_MS, &err));
    CHECK_HAS(err.text, "column n: no type \"intger\", and no enum of the database: did you mean "
                        "\"integer\"?");
    CHECK_HAS(err.text, "did you mean \"view_sql_mood\"?");
    CHECK_HAS(err.text, "did you mean \"id\"?");
    script(writer, drop_sql);
    writer_close(writer);
}

static const struct test_case cases[] = {
    {"memory and database merge alike", memory_and_database_merge_alike},
    {"two connections at once give the same rows", two_connections_at_once_give_the_same_rows},
    {"a row that loses is not written", a_row_that_loses_is_not_written},
    {"a schema that differs is named", a_schema_that_differs_is_named},
    {"an unknown type suggests the nearest", an_unknown_type_suggests_the_nearest},
};

TEST_MAIN(cases)
