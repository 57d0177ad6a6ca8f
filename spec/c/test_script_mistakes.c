/* Mistakes of script authors: what a wrong response or use of the view is refused with. */
#include "border.h"

#define MEMORY_MB 4
#define TIMEOUT_MS 1000 /* so that a heap is full before, on any machine */

/* The body of a route, and what its answer is refused with. */
static void a_mistake_in_a_response_is_refused(void) {
    static const struct {
        const char *body, *what;
    } table[] = {
        {"return event", "a table with a metatable, such as its request"},
        {"return require('json')", "a table with a metatable"},
        {"return { stauts = 200, body = '{}' }", "\"stauts\", which no response has: did you mean"},
        {"return { status = 200, body = '{}', cookies = {} }", "the key \"cookies\""},
        {"return { status = '200', body = '{}' }", "not a string"},
        {"return { status = 200.5, body = '{}' }", "200 to 599, not 200.5"},
        {"return { status = 0 / 0, body = '{}' }", "200 to 599, not"},
        {"return { status = 100, body = '' }", "200 to 599, not 100"},
        {"return { status = 204, body = '{}' }", "status 204 and a body"},
        {"return { status = 205, error = 'x' }", "status 205 and a body"},
        {"return { status = 304, body = 'x' }", "status 304 and a body"},
        {"return { status = 200, error = 'x' }", "`error` with the status 200"},
        {"return { status = 200 }", "neither `body` nor `error`"},
        {"return { status = 404, error = 5 }", "`error` of its response is a string, not a number"},
        {"return { status = 200, body = {} }", "`body` of its response is a string, not a table"},
        {"return { status = 404, error = 'x', body = 'x' }", "`body` and `error`"},
        {"return { status = 200, body = '{}', tags = 'x' }", "`tags` of its response is a list"},
        {"return { status = 200, body = '{}', tags = { 5 } }", "item 1 of `tags`"},
        {"return { status = 200, body = '{}', tags = { a = 'x' } }", "a key that is a string"},
        {"return { unavailable = false }", "`unavailable` of its response is a failure"},
        {"return 5", "it returned a number, which is no response"},
        {"while true do end", "its limit is 1000 ms"},
        {"local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", "limit is 4 MiB"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        border_begin(MEMORY_MB, TIMEOUT_MS);
        scripts_write(
            &scripts, "routes/r.lua",
            "return { path = '/x/{v}/{p}', auth = false, handle = function(event) %s end }",
            table[i].body);
        load();
        struct script_response response;
        if (answer(0, 0, &response) == SCRIPT_OK || !strstr(err.text, table[i].what) ||
            !strstr(err.text, "routes/r.lua")) {
            TEST_FAIL("%s: \"%s\" has no \"%s\"", table[i].body, err.text, table[i].what);
        }
        CHECK(response.body.data == NULL && response.tags == NULL);
        unload();
    }
}

/* A tag that is lost leaves the cached response stale. */
static void a_gap_in_the_tags_loses_none(void) {
    static const struct {
        const char *tags;
        size_t count;
    } table[] = {{"{ 'x', 'y' }", 2},
                 {"{ nil, 'x' }", 1},
                 {"{ nil, 'x', nil }", 1},
                 {"{ 'x', nil, nil, 'y', nil }", 2},
                 {"{ [9] = 'x', [7] = 'y' }", 2},
                 {"{ require('json').null, 'x' }", 1},
                 {"{}", 0},
                 {"nil", 0}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        border_begin(MEMORY_MB, TIMEOUT_MS);
        scripts_write(&scripts, "routes/r.lua",
                      "return { path = '/x/{v}/{p}', auth = false, handle = function(event) "
                      "return { status = 200, body = '{}', tags = %s } end }",
                      table[i].tags);
        load();
        struct script_response response;
        CHECK_INT(answer(0, 0, &response), SCRIPT_OK);
        CHECK_INT(response.tag_count, table[i].count);
        script_response_free(&response);
        unload();
    }
}

/* What a handler does with the view, and what the event is rejected with. */
static void a_mistake_with_the_view_is_refused(void) {
    static const struct {
        const char *body, *what;
    } table[] = {
        {"v.things.merge('a', 'said', {})",
         "a colon is missing: call view.things:merge(key, group, columns)"},
        {"v.things.merge()", "a colon is missing"},
        {"v.things:merge('said', {})",
         "2 arguments are given: call view.things:merge(key, group, columns)"},
        {"v.things:merge('a', 'said', 'w')", "`columns` is a table, not a string"},
        {"v.things:merge('a', 5, {})", "`group` is a string, not a number"},
        {"v.things:merge('a', 'said', { at = 1e300 })", "of the years 1 to 9999, not 1e+300"},
        {"v.things:merge('a', 'said', { at = -2 ^ 63 })", "of the years 1 to 9999"},
        {"v.things:merge('a', 'said', { at = 253402300800000000 })", "of the years 1 to 9999"},
        {"v.things:merge('a', 'said', { at = 0.5 })", "takes whole microseconds"},
        {"v.things:merge('a', 'said', { at = 0 / 0 })", "takes whole microseconds"},
        {"v.things:merge('a', 'said', { count = 2 ^ 31 })", "to 2147483647, not 2147483648"},
        {"v.things:merge(('x'):rep(1025), 'said', {})", "\"id\" takes ids of at most 1024 bytes"},
        {"v.things:merge('a', 'said', { owner = ('x'):rep(1025) })",
         "\"owner\" takes ids of at most 1024 bytes"},
        {"v.things:merge('a', 'said', { members = { 'a', ('x'):rep(1025) } })",
         "\"members\" takes ids of at most 1024 bytes"},
        {"v.touch('a')", "call view:touch(id)"},
        {"v:touch(5)", "call view:touch(id)"},
        {"v:touch()", "call view:touch(id)"},
        {"return require('json')", "something other than nothing or \"ignored\": a table"},
        {"while true do end", "its limit is 1000 ms"},
        {"local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", "limit is 4 MiB"},
        {"error('\\0' .. ('x'):rep(1000))", "?xxxxx"},
        {"error('a\\0b\\255\\27[2J' .. ('x'):rep(10000), 0)", "a?b"},
        {"local t = {} for i = 1, 150 do t[i] = pcall end error(tostring(pcall(unpack(t))))",
         "true"},
        {"local t = {} for i = 1, 7000 do t[i] = pcall end error(tostring(pcall(unpack(t))))",
         "true"},
        {"while true do pcall(tostring, setmetatable({}, { __tostring = tostring })) end",
         "its limit is 1000 ms"},
        {"require('json').array(_G)", "must be a table without a metatable"},
        {"require('json').array(event)", "must be a table without a metatable"},
        {"pcall(function() local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end end)",
         "limit is 4 MiB"},
        {"return nil, setmetatable({ kind = 'unavailable', message = {} }, { __index = error })",
         "the second result is a table"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        border_begin(MEMORY_MB, TIMEOUT_MS);
        scripts_write(&scripts, "handlers/h.lua",
                      "return { topics = { 't' }, fields = {}, handle = function(event, view) "
                      "local v = view %s "
                      "end }",
                      table[i].body);
        load();
        struct arena *arena = arena_create(4096);
        struct merge *merge = merge_create(script_generation_view(generation));
        struct extract_value *event = scripts_event(generation, arena, SCRIPTS_EVENT);
        enum script_result result = script_handle(instance, 0, event, merge, &err);
        if (result == SCRIPT_OK || !strstr(err.text, table[i].what) ||
            !strstr(err.text, "handlers/h.lua")) {
            TEST_FAIL("%s: \"%s\" has no \"%s\"", table[i].body, err.text, table[i].what);
        }
        merge_discard(merge);
        merge_destroy(merge);
        arena_destroy(arena);
        unload();
    }
}

static const struct test_case cases[] = {
    {"a mistake in a response is refused", a_mistake_in_a_response_is_refused},
    {"a gap in the tags loses none", a_gap_in_the_tags_loses_none},
    {"a mistake with the view is refused", a_mistake_with_the_view_is_refused},
};

TEST_MAIN(cases)
