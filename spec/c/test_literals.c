/* Literal names in scripts: an undeclared one is found at load time; computed names are not
 * checked. */
#include <stdlib.h>

#include "scripts.h"

static struct err err;
static struct scripts scripts;

/* The error of loading, without the folder of the test; "" where there is none. */
static const char *error_of(const char *name, const char *text) {
    static char got[sizeof err.text];
    size_t len = 0, cut = strlen(scripts.folder) + 1;
    scripts_write(&scripts, name, "%s", text);
    err_clear(&err);
    script_generation_unref(script_generation_load(&scripts.config, 1, &err));
    for (const char *at = err.text; *at;) {
        if (strncmp(at, scripts.folder, cut - 1) == 0) {
            at += cut;
        } else {
            got[len++] = *at++;
        }
    }
    got[len] = '\0';
    return got;
}

static void handler_says(const char *body, const char *wanted) {
    char text[1024];
    snprintf(text, sizeof text,
             "local pg = require('pg')\nreturn { topics = 't', fields = { word = 'data.word',\n"
             "hidden = { 'data.word', check_only = true } },\nhandle = function(event, view)\n%s\n"
             "end }",
             body);
    scripts_begin(&scripts);
    scripts_write(&scripts, "queries/one.sql", "SELECT :a::text, :b::text");
    scripts_write(&scripts, "queries/none.sql", "SELECT 1");
    CHECK_TEXT(error_of("handlers/h.lua", text), wanted);
    scripts_end(&scripts);
}

static void route_says(const char *keys, const char *body, const char *wanted) {
    char text[1024];
    snprintf(
        text, sizeof text,
        "return { path = '/{id}', aliases = { '/a/{id}' }, %s\nhandle = function(request)\n%s\n"
        "end }",
        keys, body);
    scripts_begin(&scripts);
    CHECK_TEXT(error_of("routes/r.lua", text), wanted);
    scripts_end(&scripts);
}

#define AT "handlers/h.lua:5: "

static void fields_of_the_event(void) {
    handler_says("return event.wrod", AT "event has no field \"wrod\": did you mean \"word\"?");
    handler_says("return event.hidden",
                 AT "event: field \"hidden\" is check_only: handlers cannot read it");
    handler_says("return event.word .. event.event_id, event.time", "");
}

#define KEPT                                                                                       \
    "` after the call: it belongs to one event; pass it as an argument, or keep what was read "    \
    "of it"

static void an_event_or_view_that_outlives_the_call(void) {
    handler_says("pg.kept = view", AT "`view` is kept in `pg" KEPT);
    handler_says("pg.kept = pg.kept or 1; pg['a'] = event", AT "`event` is kept in `pg" KEPT);
    handler_says("pg.kept = pg.kept or view", AT "`view` is kept in `pg" KEPT);
    handler_says("pg.kept = view.things", AT "`view` is kept in `pg" KEPT);
    handler_says("pg.kept = pg.f(view) pg.kept = event.word", "");
    handler_says("if pg.kept == view then local now = pg or view return now end", "");
    handler_says("local mine = { view = view, event = event } mine.view = view", "");
    handler_says("local mine = view\nmine:touch('a') pg.word = event.word", "");
    handler_says("local same = pg == view return nil", "");
    handler_says("pg.kept = { view }", AT "`view` is kept in `pg" KEPT);
    handler_says("pg.kept = { n = 1, of = { event = event } }", AT "`event` is kept in `pg" KEPT);
    handler_says("local mine = { 1, { view = view } } pg.f({ event = event }) return", "");
    handler_says("pg.last = { event = event.word, n = 1 }", "");
    handler_says("pg[event.word] = { view = 1 }", "");
    handler_says("pg.f = function() return { event = 1 } end", "");
    handler_says("pg.n = pg.n + pg.count{ event = event }", "");
    handler_says("pg.n = 1\npg.helper{ event = event }", "");
    handler_says("pg.e, pg.v = event, 1", AT "`event` is kept in `pg" KEPT);
    handler_says("local mine mine, pg.v = 1, pg.f(1, 2) or view", AT "`view` is kept in `pg" KEPT);
    handler_says("pg.a, pg.b = 1, { 2, view }", AT "`view` is kept in `pg" KEPT);
    handler_says("pg.a, pg.n = 1, 2, view", "");
    handler_says("pg.f(pg.n) local mine = { [1] = 2, [2] = event, n = pg.n, [3] = view }", "");
    handler_says("local mine = { pg, f = function() return 1 end, [2] = event }", "");
    handler_says("local mine, pg_too mine, pg.n = view, event.word", "");
    handler_says("local mine, yours = event, view pg.a, mine = yours.word, view", "");
    handler_says("local n = pg.f(1, view), pg.g{ 2, event } pg.a, pg.b = pg.f(1, view), 2", "");
    handler_says("pg.a, pg.b = pg.f(function() return 1, event end)", "");
    handler_says("pg.a, pg['b'] = pg.word, function() view:touch('a') end",
                 AT "`view` is kept in `pg" KEPT);
}

static void a_function_that_outlives_the_call_with_the_event_or_view(void) {
    handler_says("pg.later = function() view:touch('a') end", AT "`view` is kept in `pg" KEPT);
    handler_says("pg.later = pg.later or function()\nlocal f = function() return event.word end\n"
                 "return f end",
                 AT "`event` is kept in `pg" KEPT);
    handler_says("pg.all = { 1, f = function() view:touch('a') end }",
                 AT "`view` is kept in `pg" KEPT);
    handler_says("function pg.later() view:touch('a') end", AT "`view` is kept in `pg" KEPT);
    handler_says("local later = function() view:touch('a') end later()", "");
    handler_says("local later later = function() view:touch('a') end later()", "");
    handler_says("pg.word = 5 local function later() view:touch('a') end later()", "");
    handler_says("pg.each(function() view:touch('a') end) pg.f = function() return 1 end", "");
    handler_says("pg.count = pg.sum(function() return event.word end)", "");
}

/* A search that grows with the square of the file passes the time limit of the check. */
static void a_long_file_of_loops_is_searched_once(void) {
    struct buffer text = {0};
    scripts_begin(&scripts);
    buffer_append_text(&text, "local n = 0\n");
    for (int i = 0; i < 9000; i++) {
        buffer_append_text(&text, "for i = 1, 2 do n = n + i end\n");
    }
    buffer_append_text(&text, "return { n = n }");
    CHECK_TEXT(error_of("lib/long.lua", text.data), "");
    buffer_free(&text);
    scripts_end(&scripts);
}

static void tables_groups_and_columns(void) {
    handler_says("view.thigns:merge('a', 'said', {})",
                 AT "view has no table \"thigns\": did you mean \"things\"?");
    handler_says("view.things:merge('a', 'siad', {})",
                 AT "table things has no group \"siad\": did you mean \"said\"?");
    handler_says(
        "view.things:merge(event.word, 'said', { word = (function() return 1, 2 end)(),\n"
        "wrod = 'x', ['owrd'] = 1 })",
        "handlers/h.lua:6: group things.said has no column \"owrd\": did you mean \"word\"?\n"
        "handlers/h.lua:6: group things.said has no column \"wrod\": did you mean \"word\"?");
    handler_says("view:tuch('a')", AT "view has no method \"tuch\": did you mean \"touch\"?");
    handler_says("view.things:marge('a')",
                 AT "things has no method \"marge\": did you mean \"merge\"?");
    handler_says("view.things:merge(event.word, 'said', { word = 'x' }) view:touch('a')", "");
}

static void dots_and_missing_arguments(void) {
    handler_says("view.things.merge('a', 'said', {})", AT
                 "things.merge is called with a dot: use view.things:merge(key, group, columns)");
    handler_says("view.touch('a')", AT "view.touch is called with a dot: use view:touch(id)");
    handler_says("view.things:merge('said', { word = 'x' })",
                 AT "things:merge lacks an argument: use view.things:merge(key, group, columns)");
}

static void computed_names_are_not_checked(void) {
    handler_says("local event = { wrod = 1 } return event.wrod", "");
    handler_says("for _, view in ipairs({}) do view.thigns:merge() end", "");
    handler_says("local f = function(event) return event.wrod end", "");
    handler_says("local x = { event = { wrod = 1 } } return x.event.wrod", "");
    handler_says("local c = { wrod = 1 } view.things:merge('a', event.word, c)", "");
    handler_says("-- event.wrod\nlocal s = 'event.wrod' .. [[event.wrod]]", "");
    handler_says("local k = 'wrod' view.things:merge('a', 'said', { [k] = 1 })", "");
}

static void requests(void) {
    route_says("", "return request.parms",
               "routes/r.lua:3: request has no field \"parms\": did you mean \"params\"?");
    route_says("", "return request.params.idd",
               "routes/r.lua:3: request.params has no name \"idd\": did you mean \"id\"?");
    route_says("", "return request.params.id, request.query.anything, request.correlation_id", "");
    route_says("", "return request.headers.a",
               "routes/r.lua:3: the route declares no `headers`: add it to the declaration");
    route_says("", "return request.body", "");
    route_says("", "return request.body.a",
               "routes/r.lua:3: the route declares no `body`: add it to the declaration");
    route_says("query = { limit = { optional = true } },", "return request.query.lmit",
               "routes/r.lua:3: request.query has no field \"lmit\": did you mean \"limit\"?");
    route_says("method = 'POST', body = { fields = { name = 'a.b' } },",
               "return request.body.name, request.method, request.body.nam",
               "routes/r.lua:3: request.body has no field \"nam\": did you mean \"name\"?");
    route_says("method = 'POST', body = { content_type = 'text/csv' },", "return request.body.name",
               "");
    route_says("cache = { key = 'x:{id}' },", "return request.query.n",
               "routes/r.lua:3: a cached route has the parts of request.query that it declares: "
               "declare `query`, and name its fields in `cache.vary.query`, or remove `cache`");
    route_says("cache = { key = 'x:{id}', vary = { query = 'limit' } }, query = { limit = {} },",
               "return request.query.lmit",
               "routes/r.lua:3: request.query has no field \"lmit\": did you mean \"limit\"?");
}

#define NOT_GIVEN " is not given: give it a value, or json.null for NULL"

static void queries_and_their_parameters(void) {
    handler_says("pg.query('what', { a = 1, b = 2 })",
                 AT "sql/queries has no query \"what\": there are none, one");
    handler_says("pg.query('one', { a = 1, c = 2 })",
                 AT "query one has no parameter \"c\": there are a, b\n" AT
                    "query one: parameter \"b\"" NOT_GIVEN);
    handler_says("pg.query('one', { a = 1, b = nil })", AT "query one: parameter \"b\"" NOT_GIVEN);
    handler_says("pg.query('one')", AT "query one: parameter \"a\"" NOT_GIVEN "\n" AT
                                       "query one: parameter \"b\"" NOT_GIVEN);
    handler_says("pg.transaction(function(tx) tx.query('two') end)",
                 AT "sql/queries has no query \"two\": there are none, one");
    handler_says("pg.each('one', { a = 1 }, print)", AT "query one: parameter \"b\"" NOT_GIVEN);
    handler_says(
        "local p = {} pg.query('one', p) pg.query('none') pg.query('one', { a = 1, b = p.b "
        "})",
        "");
    scripts_begin(&scripts);
    CHECK_TEXT(error_of("queries/bad.sql", "SELECT 'x"),
               "queries/bad.sql:1: the quote that begins here does not end");
    scripts_end(&scripts);
}

static void an_empty_query_is_named_and_not_those_that_call_it(void) {
    scripts_begin(&scripts);
    scripts_write(
        &scripts, "handlers/h.lua",
        "local pg = require('pg')\nreturn { topics = 't', fields = { word = 'data.word' },\n"
        "handle = function() pg.query('one', { a = 1 }) end }");
    CHECK_TEXT(error_of("queries/one.sql", "-- SELECT :a::text\n"),
               "queries/one.sql: has no statement: write one, or delete the file");
    scripts_end(&scripts);
}

static void missing_lua_functions_get_the_sandboxs_replacement(void) {
    handler_says("return math.random(1, 2)", AT
                 "math.random is not available to scripts: a replay cannot repeat it: derive the "
                 "value from event.event_id or event.time");
    handler_says("return math.random, math.floor(1.5)", "");
}

/* A source is looked at even where it does not load. */
static void a_truncated_source_is_harmless(void) {
    static const char text[] =
        "local pg = require('pg') return { topics = 't', fields = { w = 'w' },\n"
        "handle = function(event, view) local f = function(a, b) end for k, event in f do end\n"
        "view.things:merge({ event.w, 'x' }, 'said', { ['word'] = \"a\\\"b\", [[k]], [1] = 2 })\n"
        "pg.transaction(function(tx) tx.query('one', { a = 1, [b] = 2 }) end) --[==[ c ]==]\n"
        "return math.random(1 .. 2 ... 3) end }";
    char part[sizeof text];
    scripts_begin(&scripts);
    scripts_write(&scripts, "queries/one.sql", "SELECT :a::text");
    for (size_t len = 0; len < sizeof text; len++) {
        snprintf(part, len + 1, "%s", text);
        CHECK(error_of("handlers/h.lua", part)[0] != '\0');
    }
    scripts_end(&scripts);
}

static const struct test_case cases[] = {
    {"fields of the event", fields_of_the_event},
    {"an event or view that outlives the call", an_event_or_view_that_outlives_the_call},
    {"a function that outlives the call with the event or view",
     a_function_that_outlives_the_call_with_the_event_or_view},
    {"a long file of loops is searched once", a_long_file_of_loops_is_searched_once},
    {"tables, groups and columns", tables_groups_and_columns},
    {"dots and missing arguments", dots_and_missing_arguments},
    {"computed names are not checked", computed_names_are_not_checked},
    {"requests", requests},
    {"a truncated source is harmless", a_truncated_source_is_harmless},
    {"missing Lua functions get the sandbox's replacement",
     missing_lua_functions_get_the_sandboxs_replacement},
    {"queries and their parameters", queries_and_their_parameters},
    {"an empty query is named, and not those that call it",
     an_empty_query_is_named_and_not_those_that_call_it},
};

TEST_MAIN(cases)
