/* The result of a reaction for a row: nil, a message or a list; any other value is refused with the
 * script's name. */
#include <libpq-fe.h>

#include "outbox/outbox.h"
#include "scripts.h"

static struct scripts scripts;
static struct script_generation *generation;
static struct script_instance *instance;
static struct arena *arena;
static struct script_published published;
static struct err err;

#define GOOD                                                                                       \
    "topic = 'facts', key = row.key, value = { id = row.key, list = { 1, 2 } }, "                  \
    "identity = 'fact of ' .. row.key, at = 1751097600000000"

static void load(const char *body) {
    scripts_begin(&scripts);
    scripts_write(&scripts, "queries/facts.sql", "SELECT unnest(:keys::text[]) AS key");
    scripts_write(&scripts, "reactions/r.lua",
                  "return { follows = { things = 'id' }, query = 'facts',\n"
                  "publish = function(row) %s end }",
                  body);
    instance = scripts_load(&scripts, &generation);
    arena = arena_create(4096);
}

static void unload(void) {
    arena_destroy(arena);
    scripts_unload(&scripts, generation, instance);
}

/* As libpq gives the rows of the query: two, of the keys "one" and "two". */
static PGresult *make_rows(void) {
    PGresult *rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc column = {.name = (char *)"key", .typid = 25, .typlen = -1};
    CHECK(PQsetResultAttrs(rows, 1, &column));
    CHECK(PQsetvalue(rows, 0, 0, (char *)"one", 3) && PQsetvalue(rows, 1, 0, (char *)"two", 3));
    return rows;
}

static enum script_result react(int row) {
    PGresult *rows = make_rows();
    err_clear(&err);
    arena_reset(arena);
    CHECK_OK(script_react_to(instance, 0, rows, &err), &err);
    PQclear(rows);
    return script_react(instance, 0, row, arena, &published, &err);
}

static void reads_a_message(void) {
    load("return { " GOOD ", headers = { b = '2', a = '1' } }");
    CHECK(react(1) == SCRIPT_OK);
    CHECK(published.count == 1);
    const struct outbox_message *message = &published.messages[0];
    CHECK(slice_equal(message->topic, slice_of("facts")));
    CHECK(slice_equal(message->key, slice_of("two")));
    CHECK(slice_equal(message->value, slice_of("{\"id\":\"two\",\"list\":[1,2]}")));
    CHECK(slice_equal(message->identity, slice_of("fact of two")));
    CHECK(message->fact_at_us == 1751097600000000);
    CHECK_SLICE(message->headers, "{\"a\":\"1\",\"b\":\"2\"}");
    CHECK_SLICE(message->source, "reactions/r");
    CHECK_SLICE(message->scripts, script_generation_hash(generation));
    unload();
}

static void accepts_nil_and_lists(void) {
    load("if row.key == 'one' then return nil end "
         "local m = { " GOOD " } m.value = ' {} ' m.identity = 'another' return { { " GOOD
         " }, m }");
    CHECK(react(0) == SCRIPT_OK && published.count == 0);
    CHECK(react(1) == SCRIPT_OK && published.count == 2);
    CHECK(slice_equal(published.messages[1].value, slice_of(" {} ")));
    unload();
}

static void takes_an_empty_list_for_no_message(void) {
    static const char *const bodies[] = {
        "return {}", "local list = {} list[1] = row.key list[1] = nil return list",
        "return require('json').decode('[]')"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        load(bodies[i]);
        CHECK(react(0) == SCRIPT_OK && published.count == 0);
        CHECK_TEXT(err.text, "");
        unload();
    }
}

static void refuses_an_invalid_message(void) {
    static const struct {
        const char *body, *wanted;
    } table[] = {
        {"return 1", "reactions/r.lua:2: it returned a number: it returns nothing, a message, or a "
                     "list of messages"},
        {"return { 1 }",
         "reactions/r.lua:2: the message that it returned: the message must be a table"},
        {"return { key = row.key }", "field \"topic\""},
        {"return { {} }", "field \"topic\""},
        {"local m = { " GOOD " } m.topic = 'a b' return m", "\"a b\" is not a topic name"},
        {"local m = { " GOOD " } m.key = 1 return m", "field \"key\""},
        {"local m = { " GOOD " } m.key = '' return m",
         "field \"key\" takes 1 to 1024 bytes, not 0"},
        {"local m = { " GOOD " } m.key = 'a\\0b' return m", "field \"key\" holds a NUL byte"},
        {"local m = { " GOOD " } m.key = '\\255' return m", "field \"key\" is not valid UTF-8"},
        {"local m = { " GOOD " } m.identity = ('i'):rep(201) return m",
         "field \"identity\" takes 1 to 200 bytes, not 201"},
        {"local m = { " GOOD " } m.value = 'no' return m",
         "field \"value\" is a string that is no JSON"},
        {"local m = { " GOOD " } m.value = 1 return m",
         "field \"value\" takes a table or a string of JSON"},
        {"local m = { " GOOD " } m.value = { print = tostring } return m",
         "a function has no form in JSON"},
        {"local m = { " GOOD " } m.value = { ('v'):rep(4e6) } return m",
         "more than the 4000000 that the outbox holds"},
        {"local m = { " GOOD " } m.at = '2025' return m",
         "field \"at\" takes the time of the fact"},
        {"local m = { " GOOD " } m.at = '253402300800000000' return m",
         "field \"at\" takes the time of the fact"},
        {"local m = { " GOOD " } m.at = 1e300 return m",
         "field \"at\" takes whole microseconds since 1970"},
        {"local m = { " GOOD " } m.headers = { a = 1 } return m", "header \"a\" must be a string"},
        {"local m = { " GOOD " } m.headers = { a = '\\255' } return m",
         "header \"a\" is not valid UTF-8"},
        {"local m = { " GOOD " } m.colour = 1 return m", "colour"},
        {"return row.kye", "column \"kye\""},
        {"error('no')", "no"},
        {"local name = 'clock' require(name).wall() return nil", "it called `clock`"},
        {"local name = 'http' require(name).request({ url = 'http://127.0.0.1:1/' })",
         "it called `http`"},
        {"local name = 'pg' require(name).query('facts', { keys = {} })", "it called `pg`"},
        {"return { { " GOOD " }, { " GOOD " } }", "messages 1 and 2 have one identity"},
        {"local m = { " GOOD " } m.at = 1751097600 return m", "multiply seconds by 1000000"},
        {"while true do end", "r.lua"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        load(table[i].body);
        scripts.config.scripts.handler_timeout_ms = 100;
        enum script_result result = react(1);
        CHECK(result == SCRIPT_ERROR || result == SCRIPT_TIMEOUT);
        CHECK(published.count == 0);
        CHECK_HAS(err.text, table[i].wanted);
        CHECK_HAS(err.text, "reactions/r.lua");
        unload();
    }
}

static const struct test_case cases[] = {
    {"reads a message", reads_a_message},
    {"accepts nil and lists", accepts_nil_and_lists},
    {"takes an empty list for no message", takes_an_empty_list_for_no_message},
    {"refuses an invalid message", refuses_an_invalid_message},
};

TEST_MAIN(cases)
