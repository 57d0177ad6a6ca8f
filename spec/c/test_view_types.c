/* Columns of 64 bits, UUIDs and dates, in keys and lists too, and the rules set and count: from an
 * event's JSON to rows in Postgres, which are the same in any order and any batches. Needs
 * PG_TEST_URL. */
#include "scripts.h"
#include "pg_server.h"
#include "view/view_check.h"
#include "view/view_draft.h"
#include "view/view_sql.h"

#define EVENTS 40
#define ROUNDS 12

static const char declared_view[] =
    "return { { name = 'typed', key = { { 'id', 'uuid' }, { 'n', 'bigint' }, { 'day', 'date' },\n"
    "    { 'part', 'integer' } }, groups = {\n"
    "  { name = 'said', rule = 'latest', columns = { { 'big', 'bigint' }, { 'link', 'uuid' },\n"
    "    { 'since', 'date' }, { 'bigs', 'bigint[]' }, { 'links', 'uuid[]' },\n"
    "    { 'days', 'date[]' }, { 'parts', 'integer[]' } } },\n"
    "  { name = 'least', rule = 'min', columns = { { 'least_big', 'bigint' } } },\n"
    "  { name = 'most', rule = 'max', columns = { { 'most_link', 'uuid' } } },\n"
    "  { name = 'last', rule = 'max', columns = { { 'last_day', 'date' } } },\n"
    "  { name = 'tags', rule = 'set', limit = 4, columns = { { 'tags', 'text[]' } } },\n"
    "  { name = 'people', rule = 'set', columns = { { 'people', 'uuid[]' } } },\n"
    "  { name = 'numbers', rule = 'set', limit = 3, columns = { { 'numbers', 'bigint[]' } } },\n"
    "  { name = 'seen', rule = 'set', columns = { { 'seen_on', 'date[]' } } },\n"
    "  { name = 'votes', rule = 'count', limit = 5, columns = { { 'vote_count', 'integer' } } },\n"
    "} } }";

static const char declared_handler[] =
    "return { topics = { 't' }, fields = { id = { 'data.id', type = 'uuid' },\n"
    "  n = { 'data.n', type = 'bigint' }, day = { 'data.day', type = 'date' },\n"
    "  tags = { 'data.tags', type = 'strings' }, word = 'data.word' },\n"
    "handle = function(event, view)\n"
    "  local key = { event.id, event.n, event.day, 7 }\n"
    "  view.typed:merge(key, 'said', { big = event.n, link = event.id, since = event.day,\n"
    "    bigs = { event.n, 1, '-2' }, links = { event.id, event.id:upper() },\n"
    "    days = { event.day } })\n"
    "  view.typed:merge(key, 'least', { least_big = event.n })\n"
    "  view.typed:merge(key, 'most', { most_link = event.id })\n"
    "  view.typed:merge(key, 'last', { last_day = event.day })\n"
    "  view.typed:merge(key, 'tags', { tags = event.tags })\n"
    "  view.typed:merge(key, 'people', { people = event.id:upper() })\n"
    "  view.typed:merge(key, 'numbers', { numbers = { event.n, #event.word, #event.tags } })\n"
    "  view.typed:merge(key, 'seen', { seen_on = event.day })\n"
    "  view.typed:merge(key, 'votes', { vote_count = event.word })\n"
    "end }";

struct world {
    struct scripts scripts;
    struct script_generation *generation;
    struct script_instance *instance;
    struct merge *merge;
    struct arena *arena;
    struct pg_params *params;
};

static void query(const char *sql, const struct pg_params *params) {
    struct err reason = {0};
    CHECK_OK(pg_query(pg, sql, sql, params, WAIT_MS, NULL, &reason), &reason);
}

static void world_open(struct world *world) {
    struct buffer ddl = {0};
    open_server();
    CHECK_OK(pg_script(pg, "DROP TABLE IF EXISTS typed", WAIT_MS, &err), &err);
    scripts_begin(&world->scripts);
    scripts_write(&world->scripts, "view.lua", "%s", declared_view);
    scripts_write(&world->scripts, "handlers/t.lua", "%s", declared_handler);
    world->instance = scripts_load(&world->scripts, &world->generation);
    const struct view *declared = script_generation_view(world->generation);
    CHECK_OK(view_draft_append(pg, declared, WAIT_MS, &ddl, &err), &err);
    CHECK_OK(pg_script(pg, ddl.data, WAIT_MS, &err), &err);
    CHECK_OK(view_sql_check(pg, declared, WAIT_MS, &err), &err);
    world->merge = merge_create(declared);
    world->arena = arena_create(4096);
    world->params = pg_params_create();
    buffer_free(&ddl);
}

static void world_close(struct world *world) {
    query("DROP TABLE typed", NULL);
    close_server();
    pg_params_destroy(world->params);
    merge_destroy(world->merge);
    arena_destroy(world->arena);
    script_instance_destroy(world->instance);
    script_generation_unref(world->generation);
    scripts_end(&world->scripts);
}

static void write_rows(struct world *world) {
    const struct view *view = script_generation_view(world->generation);
    struct buffer sql = {0};
    size_t count;
    struct merge_row *const *rows = merge_rows(world->merge, 0, &count);
    uint32_t groups = view_sql_groups(&view->tables[0], rows, count);
    if (count > 0) {
        view_sql_upsert(&view->tables[0], groups, &sql);
        view_sql_params(&view->tables[0], groups, rows, count, world->params);
        struct err reason = {0};
        CHECK_OK(pg_query(pg, "upsert", sql.data, world->params, WAIT_MS, NULL, &reason), &reason);
    }
    buffer_free(&sql);
    merge_reset(world->merge, view);
    arena_reset(world->arena);
}

static void handle(struct world *world, const char *document, size_t number) {
    struct err reason = {0};
    struct extract_value *values = scripts_event(world->generation, world->arena, document);
    CHECK_INT(script_handle(world->instance, 0, values, world->merge, &reason), SCRIPT_OK);
    CHECK_TEXT(reason.text, "");
    merge_accept(world->merge, number);
}

/* What it says depends on the number alone. */
static void write_event(char document[1024], unsigned number) {
    static const char *const tags[] = {"[]", "[\"z\",\"a\"]", "[\"\xC3\xA9\",\"B\",\"a b\"]",
                                       "[\"x\\\"y\\\\\",\"\",\"B\"]", "[\"a\",\"a\",\"c,{}\"]"};
    static const char *const numbers[] = {"9223372036854775807", "\"-9223372036854775808\"",
                                          "9007199254740993", "0"};
    snprintf(document, 1024,
             "{\"event_id\":\"0123abcd-4567-89ef-0123-4567%08x\",\"event_type\":\"t\","
             "\"source_service\":\"s\",\"event_timestamp\":\"2025-06-28T08:00:%02uZ\",\"data\":{"
             "\"id\":\"%sCDEF01-4567-89ef-0123-456789abcdef\",\"n\":%s,\"day\":\"%s\","
             "\"tags\":%s,\"word\":\"w%u\"}}",
             number, number % 7, number % 2 ? "0a" : "Fa", numbers[number % 4],
             number % 3 ? "0001-01-01" : "9999-12-31", tags[number % 5], number % 9);
}

static const char dump_sql[] =
    "SELECT md5(string_agg(t::text, E'\\n' ORDER BY t::text)) || ' ' || count(*) FROM typed t";

static void apply(struct world *world, const unsigned *order, size_t per_batch) {
    for (size_t i = 0; i < EVENTS; i++) {
        char document[1024];
        write_event(document, order[i]);
        handle(world, document, i);
        if ((i + 1) % per_batch == 0 || i + 1 == EVENTS) {
            write_rows(world);
        }
    }
}

static void rows_do_not_depend_on_order_batches_and_copies(void) {
    struct world world;
    unsigned order[EVENTS];
    uint32_t seed = 11;
    char want[256] = "";
    world_open(&world);
    for (unsigned i = 0; i < EVENTS; i++) {
        order[i] = i;
    }
    for (unsigned round = 0; round < ROUNDS && !test_failed; round++) {
        static const size_t batches[] = {1, EVENTS, 7, 3};
        query("TRUNCATE typed", NULL);
        apply(&world, order, batches[round % 4]);
        if (round == 0) {
            snprintf(want, sizeof want, "%s", ask(pg, "dump", dump_sql));
        }
        CHECK_TEXT(ask(pg, "dump", dump_sql), want);
        apply(&world, order, 5); /* once more */
        CHECK_TEXT(ask(pg, "dump", dump_sql), want);
        for (unsigned i = EVENTS - 1; i > 0; i--) {
            unsigned j = test_draw(&seed, i + 1), kept = order[i];
            order[i] = order[j];
            order[j] = kept;
        }
    }
    world_close(&world);
}

static void values_are_stored_exactly(void) {
    struct world world;
    char document[1024];
    world_open(&world);
    for (unsigned number = 2; number < 400; number += 12) { /* all of one row */
        write_event(document, number);
        handle(&world, document, number);
        write_rows(&world);
    }
    CHECK_TEXT(
        ask(pg, "row", "SELECT count(*) || ' ' || min(id::text) || min(n) || min(day) FROM typed"),
        "1 facdef01-4567-89ef-0123-456789abcdef90071992547409930001-01-01");
    CHECK_TEXT(
        ask(pg, "said", "SELECT concat_ws(' ', big, link, since, bigs, links, days) FROM typed"),
        "9007199254740993 facdef01-4567-89ef-0123-456789abcdef 0001-01-01 "
        "{9007199254740993,1,-2} {facdef01-4567-89ef-0123-456789abcdef,"
        "facdef01-4567-89ef-0123-456789abcdef} {0001-01-01}");
    CHECK_TEXT(ask(pg, "sets", "SELECT concat_ws(' ', tags, people, numbers, seen_on) FROM typed"),
               "{\"\",B,a,\"a b\"} {facdef01-4567-89ef-0123-456789abcdef} {0,2,3} {0001-01-01}");
    CHECK_TEXT(
        ask(pg, "count", "SELECT vote_count || ' of ' || cardinality(votes_sources) FROM typed"),
        "3 of 3");
    world_close(&world);
}

static void a_row_to_which_nothing_is_added_is_not_written(void) {
    struct world world;
    char document[1024], before[256];
    world_open(&world);
    write_event(document, 7);
    handle(&world, document, 0);
    write_rows(&world);
    snprintf(before, sizeof before, "%s", ask(pg, "place", "SELECT xmin::text || ctid FROM typed"));
    handle(&world, document, 0);
    write_rows(&world);
    CHECK_TEXT(ask(pg, "place", "SELECT xmin::text || ctid FROM typed"), before);
    world_close(&world);
}

/* The body of a handler raises the text. */
static void refuses(const char *body, const char *text) {
    struct world world = {0};
    struct err reason = {0};
    struct buffer handler = {0};
    scripts_begin(&world.scripts);
    scripts_write(&world.scripts, "view.lua", "%s", declared_view);
    buffer_append_format(&handler,
                         "return { topics = { 't' }, fields = {}, handle = function(event, view)\n"
                         "local id = 'abcdef01-4567-89ef-0123-456789abcdef'\n"
                         "local key = { id, 1, '2025-06-28', 7 } %s end }",
                         body);
    scripts_write(&world.scripts, "handlers/t.lua", "%s", handler.data);
    world.instance = scripts_load(&world.scripts, &world.generation);
    world.merge = merge_create(script_generation_view(world.generation));
    world.arena = arena_create(4096);
    struct extract_value *values = scripts_event(world.generation, world.arena, SCRIPTS_EVENT);
    CHECK_INT(script_handle(world.instance, 0, values, world.merge, &reason), SCRIPT_ERROR);
    CHECK_HAS(reason.text, text);
    merge_destroy(world.merge);
    arena_destroy(world.arena);
    script_instance_destroy(world.instance);
    script_generation_unref(world.generation);
    scripts_end(&world.scripts);
    buffer_free(&handler);
}

static void what_a_column_does_not_take_is_refused(void) {
    refuses("view.typed:merge(key, 'said', { big = 2 ^ 53 })",
            "column \"big\" takes a whole number below 2^53 either way, or the digits of one of 64 "
            "bits, not 9007199254740992");
    refuses("view.typed:merge(key, 'said', { big = '9223372036854775808' })", "takes a whole");
    refuses("view.typed:merge(key, 'said', { big = '12x' })", "not \"12x\"");
    refuses("view.typed:merge(key, 'said', { bigs = { 1, '' } })", "not \"\"");
    refuses("view.typed:merge(key, 'said', { big = 1.5 })", "not 1.5");
    refuses("view.typed:merge(key, 'said', { big = {} })", "column \"big\" takes a number");
    refuses("view.typed:merge(key, 'said', { link = 'x' })",
            "column \"link\" takes the text of a UUID, not \"x\"");
    refuses("view.typed:merge(key, 'said', { since = '2025-02-30' })",
            "column \"since\" takes the text of a date of the years 1 to 9999, such as 2025-06-28, "
            "not \"2025-02-30\"");
    refuses("view.typed:merge(key, 'said', { bigs = { 1, {} } })",
            "\"bigs\" takes whole numbers: item 2 is a table");
    refuses("view.typed:merge(key, 'said', { links = { id, 'y' } })",
            "\"links\" takes texts of UUIDs: item 2 is \"y\"");
    refuses(
        "view.typed:merge(key, 'said', { days = { 7 } })",
        "\"days\" takes texts of dates of the years 1 to 9999, such as 2025-06-28: item 1 is 7");
    refuses("view.typed:merge(key, 'said', { bigs = 7 })", "takes a table, not a number");
    refuses("view.typed:merge(key, 'tags', { tags = { 'a', require('json').null } })",
            "\"tags\" takes texts: item 2 is null");
    refuses("view.typed:merge(key, 'tags', { tags = false })",
            "\"tags\" takes texts, one or a list, not a boolean");
    refuses("view.typed:merge(key, 'votes', { vote_count = true })",
            "\"vote_count\" takes ids: texts or whole numbers, one or a list, not a boolean");
    refuses("view.typed:merge({ id, '1x', '2025-06-28', 7 }, 'said', {})", "\"n\" takes a whole");
    refuses("view.typed:merge({ id, 1, 2, 7 }, 'said', {})", "key \"day\" takes a string");
    refuses("view.typed:merge({ 'x', 1, '2025-06-28', 7 }, 'said', {})", "the text of a UUID");
    refuses("view.typed:merge(key, 'said', { parts = { 1, 1.5 } })",
            "column \"parts\" takes a whole number from -2147483648 to 2147483647, not 1.5");
    refuses("view.typed:merge(key, 'said', { parts = { 2 ^ 31 } })", "not 2147483648");
    refuses("view.typed:merge(key, 'said', { parts = { 1e300 } })", "not 1e+300");
    refuses("view.typed:merge(key, 'said', { parts = { '7' } })",
            "\"parts\" takes whole numbers: item 1 is \"7\"");
}

/* The row of another key would be written. */
static void a_key_with_other_values_than_the_table_is_refused(void) {
    refuses("view.typed:merge(id, 'said', {})", "typed: the key is a list of 4 values, not \"abc");
    refuses("view.typed:merge(nil, 'said', {})", "typed: the key is a list of 4 values, not nil");
    refuses("view.typed:merge({ id, 1, '2025-06-28' }, 'said', {})", "key \"part\" takes a number");
    refuses("view.typed:merge({ id, 1, '2025-06-28', 7, 8 }, 'said', {})",
            "typed: the key has 5 values, and the table takes 4");
}

/* An item at another key would be lost silently. */
static void a_table_that_is_no_list_is_refused(void) {
    static const char *const columns[][3] = {
        {"tags", "tags", "'a'"},         {"numbers", "numbers", "1"}, {"votes", "vote_count", "id"},
        {"people", "people", "id"},      {"said", "bigs", "'7'"},     {"said", "links", "id"},
        {"said", "days", "'2025-06-28'"}};
    static const char *const refused[][2] = {{"a = item", "the table has the key \"a\""},
                                             {"item, x = item", "the table has the key \"x\""},
                                             {"[2] = item", "the keys of the table are not 1 to n"},
                                             {"item, nil, item", ""}}; /* of either length */
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        const char *const *column = columns[i], *const *table = refused[i % 4];
        char body[256], text[128];
        snprintf(body, sizeof body, "local item = %s view.typed:merge(key, '%s', { %s = { %s } })",
                 column[2], column[0], column[1], table[0]);
        snprintf(text, sizeof text, "column \"%s\" takes %s", column[1],
                 table[1][0] ? "a list: " : "");
        refuses(body, text);
        refuses(body, table[1]);
    }
}

static const struct test_case cases[] = {
    {"rows do not depend on order, batches and copies",
     rows_do_not_depend_on_order_batches_and_copies},
    {"values are stored exactly", values_are_stored_exactly},
    {"a row to which nothing is added is not written",
     a_row_to_which_nothing_is_added_is_not_written},
    {"a table that is no list is refused", a_table_that_is_no_list_is_refused},
    {"what a column does not take is refused", what_a_column_does_not_take_is_refused},
    {"a key with other values than the table is refused",
     a_key_with_other_values_than_the_table_is_refused},
};

SCRIPTS_TEST_MAIN(cases)
