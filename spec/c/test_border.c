/* Values from scripts: a response, outcome or declaration that raises, yields, recurses or has a
 * wrong type ends in a message, and the process goes on. */
#include "base/log.h"
#include "scripts.h"

static struct scripts scripts;
static struct script_generation *generation;
static struct script_instance *instance;
static struct err err;

/* Chunks that hand over one value each: `return VALUE`. */
static const char *const values[] = {
    "return nil", "return true", "return 0", "return -1", "return 0 / 0", "return 1 / 0",
    "return 2 ^ 63", "return -2 ^ 63", "return 1e300", "return 200.5", "return ''",
    "return 'ignored\\0'", "return '\\255\\254'", "return ('x'):rep(2 ^ 20)", "return {}",
    "return { {}, { {} } }", "local t = {} t.t = t t[1] = t return t", "return pairs",
    "return string", "return _G", "return require('json')", "return require('json').null",
    "return require('json').array({})",
    "return setmetatable({}, { __index = function(_, k) error('no ' .. tostring(k)) end })",
    "return setmetatable({}, { __index = function() error({}) end })",
    "return setmetatable({}, { __index = function() error() end })",
    "return setmetatable({}, { __index = function(t, k) return t[k] end })",
    "return setmetatable({}, { __index = function() while true do end end })",
    "return setmetatable({}, { __index = function(t) return t end })",
    "return setmetatable({}, { __newindex = error, __call = error, __len = error, __eq = error,"
    " __lt = error, __le = error, __concat = error, __unm = error, __metatable = error,"
    " __tostring = error, __pairs = error, __ipairs = error, __gc = error, __mode = 'kv' })",
    "return setmetatable({}, { __tostring = function() return {} end })",
    "local t = setmetatable({}, {}) getmetatable(t).__index = t return t",
    "return { [1] = 1, [3] = 3, x = 1, [1.5] = 2, [true] = false }",
    "error(setmetatable({}, { __tostring = function() error('again') end }))", "error(nil)",
    "local t = {} while true do t[#t + 1] = ('x'):rep(100) .. #t end",
    /* a heap that is full when the host goes on */
    "local t = {} pcall(function() while true do t[#t + 1] = ('x'):rep(100) .. #t end end) return "
    "t",
    "local s = ('x'):rep(2 ^ 24 - 1) return s", /* HUGE_VALUE */
};
#define VALUES (sizeof values / sizeof *values)
#define HUGE_VALUE (VALUES - 1)

/* What a case looks at, and the state's limits. */
static struct {
    size_t first, last; /* values from first on, before last */
    int memory_mb, timeout_ms;
} scope = {0, HUGE_VALUE, 4, 50};

/* Places that a value is put in, as the text around `value`. */
static const char *const answers[] = {
    "value",
    "{ status = value, body = '{}' }",
    "{ status = 200, body = value }",
    "{ status = 404, error = value }",
    "{ status = 200, body = '{}', tags = value }",
    "{ status = 200, body = '{}', tags = { value } }",
    "{ unavailable = value }",
    "{ status = 200, body = '{}', more = value }",
};
static const char *const merges[] = {
    "value",
    "view.things:merge(value, 'said', { word = 'w' })",
    "view.things:merge({ value }, 'said', { word = 'w' })",
    "view.things:merge('a', value, { word = 'w' })",
    "view.things:merge('a', 'said', value)",
    "view.things:merge('a', 'said', { word = value })",
    "view.things:merge('a', 'said', { words = value })",
    "view.things:merge('a', 'said', { words = { value } })",
    "view.things:merge('a', 'said', { numbers = { value } })",
    "view.things:merge('a', 'said', { at = value })",
    "view.things:merge('a', 'said', { amount = value, count = value, good = value })",
    "view.things.merge(value, 'a', 'said', {})",
    "view:touch(value)",
    "view.touch(value, 'a')",
    "view:publish(value)",
    "view:publish({ topic = value, identity = value, at = value, value = value })",
    "view:publish({ topic = 't', identity = 'i', at = 1, value = value, key = value })",
    "view:publish({ topic = 't', identity = 'i', at = 1, value = {}, headers = value })",
    "view:publish({ topic = 't', identity = 'i', at = 1, value = {}, headers = { a = value } })",
    "view:publish({ topic = 't', identity = 'i', at = value, value = { value } })",
    "event[value]",
    "view[value]",
};
static const char *const declarations[] = {
    "value",
    "{ topics = value, fields = {}, handle = function() end }",
    "{ topics = { value }, fields = {}, handle = function() end }",
    "{ topics = { 't' }, time = value, fields = {}, handle = function() end }",
    "{ topics = { 't' }, fields = value, handle = function() end }",
    "{ topics = { 't' }, fields = { a = value }, handle = function() end }",
    "{ topics = { 't' }, fields = { a = { 'data.a', type = value } }, handle = function() end }",
    "{ topics = { 't' }, fields = { a = { 'data.a', enum = value } }, handle = function() end }",
    "{ topics = { 't' }, fields = { a = { 'data.a', min = value } }, handle = function() end }",
    "{ topics = { 't' }, fields = {}, handle = value }",
};
static const char *const routes[] = {
    "value",
    "{ method = value, path = '/x', handle = function() end }",
    "{ path = value, handle = function() end }",
    "{ path = '/x', aliases = value, handle = function() end }",
    "{ path = '/x', aliases = { value }, handle = function() end }",
    "{ path = '/x', endpoint = value, handle = function() end }",
    "{ path = '/x', auth = value, handle = function() end }",
    "{ path = '/x', cache = value, handle = function() end }",
    "{ path = '/x', cache = { key = value }, handle = function() end }",
    "{ path = '/x', handle = value }",
};
static const char *const views[] = {
    "value",
    "{ value }",
    "{ { name = value, key = { { 'id', 'text' } }, groups = {} } }",
    "{ { name = 'a', key = value, groups = {} } }",
    "{ { name = 'a', key = { value }, groups = {} } }",
    "{ { name = 'a', key = { { value, value } }, groups = value } }",
    "{ { name = 'a', key = { { 'id', 'text' } }, groups = { value } } }",
    "{ { name = 'a', key = { { 'id', 'text' } }, groups = { { name = value, rule = value, columns "
    "= "
    "value } } } }",
};

static const char rich_view[] =
    "return { { name = 'things', key = { { 'id', 'text' } }, groups = { { name = 'said', rule = "
    "'latest', columns = { { 'word', 'text' }, { 'words', 'text[]' }, { 'numbers', 'integer[]' }, "
    "{ 'at', 'timestamp' }, { 'amount', 'double' }, { 'count', 'integer' }, { 'good', 'boolean' }, "
    "{ 'owner', 'id' }, { 'members', 'id[]' } } } } } }";

static void begin(void) {
    scripts_begin(&scripts);
    scripts.config.scripts.memory_limit_mb = scope.memory_mb;
    scripts.config.scripts.handler_timeout_ms = scope.timeout_ms;
    scripts.config.scripts.route_timeout_ms = scope.timeout_ms;
    scripts.config.ingest.event_max_merge_bytes = 1 << 24;
    scripts_write(&scripts, "view.lua", "%s", rich_view);
    scripts_write(&scripts, "lib/empty.lua", "return {}");
}

static void load(void) {
    generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    instance = generation ? script_instance_create(generation, &err) : NULL;
    CHECK_OK(instance != NULL, &err);
    if (!instance) {
        exit(1); /* the case cannot continue */
    }
}

static void unload(void) {
    scripts_unload(&scripts, generation, instance);
}

/* A state that hit a limit is not used again. */
static void renew(void) {
    if (!script_instance_healthy(instance)) {
        script_instance_destroy(instance);
        instance = script_instance_create(generation, &err);
        CHECK_OK(instance != NULL, &err);
    }
}

/* `make[v]()` makes value v, `put[p](value…)` puts it in place p. */
static void write_chosen(const char *file, const char *declaration, const char *const *places,
                         size_t count, const char *choose) {
    struct buffer text = {0};
    buffer_append_text(&text, "local make = {\n");
    for (size_t v = 0; v < VALUES; v++) {
        buffer_append_format(&text, "function() %s end,\n", values[v]);
    }
    buffer_append_text(&text, "}\nlocal put = {\n");
    for (size_t p = 0; p < count; p++) {
        buffer_append_format(&text, "function(value, event, view) return %s end,\n", places[p]);
    }
    buffer_append_format(&text, "}\n%s\n", declaration);
    buffer_append_format(&text,
                         "handle = function(event, view) local v, p = %s return put[p](make[v"
                         "](), event, view) end }\n",
                         choose);
    scripts_write(&scripts, file, "%s", text.data);
    buffer_free(&text);
}

static void check_named(const char *file, size_t value, const char *place) {
    if (!strstr(err.text, file)) {
        TEST_FAIL("%s with %s: \"%s\" does not name %s", place, values[value], err.text, file);
    }
}

static enum script_result answer(size_t value, size_t place, struct script_response *response) {
    char v[24], p[24];
    snprintf(v, sizeof v, "%zu", value + 1);
    snprintf(p, sizeof p, "%zu", place + 1);
    struct script_pair params[] = {{slice_of("v"), slice_of(v)}, {slice_of("p"), slice_of(p)}};
    struct script_request request = {
        .params = params, .param_count = 2, .correlation_id = "border"};
    err_clear(&err);
    return script_answer(instance, &request, response, &err);
}

static void any_response_is_accepted_or_refused(void) {
    begin();
    write_chosen("routes/r.lua", "return { path = '/x/{v}/{p}', auth = false,", answers,
                 sizeof answers / sizeof *answers,
                 "tonumber(event.params.v), tonumber(event.params.p)");
    load();
    for (size_t v = scope.first; v < scope.last; v++) {
        for (size_t p = 0; p < sizeof answers / sizeof *answers; p++) {
            struct script_response response;
            if (answer(v, p, &response) == SCRIPT_OK) {
                CHECK(response.status >= 200 && response.status <= 599);
            } else {
                check_named("routes/r.lua", v, answers[p]);
            }
            free((char *)response.body.data);
            free(response.tags);
            renew();
        }
    }
    unload();
}

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
    scope.timeout_ms = 1000; /* so that a heap is full before, on any machine */
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        begin();
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
    scope.timeout_ms = 50;
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
        begin();
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

static void any_outcome_and_merge_is_accepted_or_refused(void) {
    begin();
    write_chosen("handlers/h.lua",
                 "return { topics = { 't' }, fields = { v = { 'data.v', type = 'integer' }, p = { "
                 "'data.p', type = 'integer' } },",
                 merges, sizeof merges / sizeof *merges, "event.v, event.p");
    load();
    struct arena *arena = arena_create(4096);
    struct merge *merge = merge_create(script_generation_view(generation));
    for (size_t v = scope.first; v < scope.last; v++) {
        for (size_t p = 0; p < sizeof merges / sizeof *merges; p++) {
            char event[400];
            snprintf(event, sizeof event,
                     "{\"event_id\":\"0123abcd-4567-89ef-0123-456789abcdef\",\"event_type\":\"t\","
                     "\"source_service\":\"s\",\"event_timestamp\":\"2025-06-28T08:00:00Z\","
                     "\"data\":{\"v\":%zu,\"p\":%zu}}",
                     v + 1, p + 1);
            struct extract_value *event_values = scripts_event(generation, arena, event);
            err_clear(&err);
            enum script_result result = script_handle(instance, 0, event_values, merge, &err);
            if (result != SCRIPT_OK && result != SCRIPT_IGNORED) {
                check_named("handlers/h.lua", v, merges[p]);
            }
            merge_discard(merge);
            renew();
        }
    }
    merge_destroy(merge);
    arena_destroy(arena);
    unload();
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
    scope.timeout_ms = 1000; /* so that a heap is full before, on any machine */
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        begin();
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
    scope.timeout_ms = 50;
}

/* Every function of the bindings, and the arguments that it is called with. */
static const char *const functions[] = {
    "pg.query",      "pg.bytes",          "pg.transaction", "redis.call",        "redis.pipeline",
    "kafka.produce", "kafka.produce_all", "http.request",   "json.encode",       "json.decode",
    "json.array",    "metrics.counter",   "metrics.gauge",  "metrics.histogram", "declared.add",
    "declared.set",  "declared.observe",  "log.debug",      "log.info",          "log.warning",
    "log.error",     "clock.monotonic",   "clock.wall"};
static const char arguments[] =
    "local shapes = {\n"
    "function(f, x) return f(x) end,\n"
    "function(f, x) return f(x, x, x) end,\n"
    "function(f, x) return f('find', x) end,\n"
    "function(f, x) return f('find', { id = x }) end,\n"
    "function(f, x) return f('find', { x, x }) end,\n"
    "function(f, x) return f('GET', 'a', x) end,\n"
    "function(f, x) return f('find', { [x] = x }) end,\n"
    "function(f, x) return f({ x, x }, x) end,\n"
    "function(f, x) return f({ url = x, method = x, body = x, headers = x, timeout_ms = x }) end,\n"
    "function(f, x) return f('http://127.0.0.1:1/', { headers = { x = x }, body = x }) end,\n"
    "function(f, x) return f({ topic = x, key = x, value = x, headers = x }) end,\n"
    "function(f, x) return f({ topic = 't', key = 'k', value = 'v', headers = { x = x } }) end,\n"
    "function(f, x) return f('border_total', 'Help.', x) end,\n"
    "function(f, x) return f('border_seconds', x, { 'a', x }) end,\n"
    "function(f, x) return f(1, { kind = x }) end,\n"
    "function(f, x) return f({ { x, x } }) end,\n"
    "function(f, x) return f('text', { field = x, [1] = x }) end,\n"
    "function(f, x) return f(function() return x end) end,\n"
    "function(f, x) return f(function() error(x) end) end,\n"
    "}\n";

static void write_bindings(void) {
    struct buffer text = {0};
    buffer_append_text(&text,
                       "local pg, redis, kafka, http = require('pg'), require('redis'), "
                       "require('kafka'), require('http')\nlocal json, metrics, log, clock = "
                       "require('json'), require('metrics'), require('log'), "
                       "require('clock')\n"
                       "local names = { 'kind' }\nlocal counter = "
                       "metrics.counter('border_total', 'Help.', names)\nlocal gauge = "
                       "metrics.gauge('border', 'Help.', names)\nlocal histogram = "
                       "metrics.histogram('border_seconds', 'Help.', names)\n"
                       "local declared = {\n"
                       "add = function(...) return counter:add(...) end,\n"
                       "set = function(...) return gauge:set(...) end,\n"
                       "observe = function(...) return histogram:observe(...) end }\n"
                       "local make = {\n");
    for (size_t v = scope.first; v < scope.last; v++) {
        buffer_append_format(&text, "function() %s end,\n", values[v]);
    }
    buffer_append_text(&text, "}\nlocal functions = {\n");
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        buffer_append_format(&text, "function() return %s end,\n", functions[i]);
    }
    buffer_append_format(
        &text,
        "}\n%s\nreturn { path = '/x/{v}/{p}', auth = false, handle = function(request)\n"
        "local v, p = tonumber(request.params.v), tonumber(request.params.p)\n"
        "local known, f = pcall(functions[p])\n"
        "for i = 1, known and #shapes or 0 do pcall(shapes[i], f, make[v]()) end\n"
        "return { status = known and 200 or 404, body = '{}' } end }",
        arguments);
    scripts_write(&scripts, "routes/b.lua", "%s", text.data);
    buffer_free(&text);
}

static void any_argument_of_a_binding_is_accepted_or_refused(void) {
    static size_t known[sizeof functions / sizeof *functions];
    begin();
    scripts.config.redis.url = scripts.config.postgres.url = "";
    scripts.config.kafka.brokers = "127.0.0.1:1";
    scripts_write(&scripts, "queries/find.sql", "SELECT :id::text AS id");
    write_bindings();
    load();
    log_mute(true);
    script_instance_mute(instance, "a test");
    for (size_t v = scope.first; v < scope.last; v++) {
        for (size_t p = 0; p < sizeof functions / sizeof *functions; p++) {
            struct script_response response;
            enum script_result result = answer(v, p, &response);
            if (result == SCRIPT_OK) {
                known[p] += response.status == 200;
            } else {
                check_named("routes/b.lua", v, functions[p]);
            }
            free((char *)response.body.data);
            free(response.tags);
            renew();
            script_instance_mute(instance, "a test");
        }
    }
    log_mute(false);
    for (size_t p = 0; p < sizeof functions / sizeof *functions; p++) {
        if (known[p] == 0) {
            TEST_FAIL("no binding has %s", functions[p]);
        }
    }
    unload();
}

/* Loads each value at each place of a file; a refusal names the file. */
static void declare(const char *file, const char *const *places, size_t count) {
    begin();
    for (size_t v = scope.first; v < scope.last; v++) {
        for (size_t p = 0; p < count; p++) {
            scripts_write(&scripts, file,
                          "local function make() %s end\nlocal value = make()\n"
                          "return %s\n",
                          values[v], places[p]);
            err_clear(&err);
            generation = script_generation_load(&scripts.config, 1, &err);
            if (!generation) {
                check_named(file, v, places[p]);
                continue;
            }
            instance = script_instance_create(generation, &err);
            CHECK_OK(instance != NULL, &err);
            script_instance_destroy(instance);
            script_generation_unref(generation);
        }
    }
    scripts_end(&scripts);
}

static void any_handler_declaration_is_taken_or_refused(void) {
    declare("handlers/h.lua", declarations, sizeof declarations / sizeof *declarations);
}

static void any_route_declaration_is_taken_or_refused(void) {
    declare("routes/r.lua", routes, sizeof routes / sizeof *routes);
}

static void any_view_declaration_is_taken_or_refused(void) {
    declare("view.lua", views, sizeof views / sizeof *views);
}

static void sixteen_megabytes_are_accepted_or_refused(void) {
    scope.first = HUGE_VALUE, scope.last = VALUES;
    scope.memory_mb = 64, scope.timeout_ms = 2000;
    any_response_is_accepted_or_refused();
    any_outcome_and_merge_is_accepted_or_refused();
    any_argument_of_a_binding_is_accepted_or_refused();
    any_handler_declaration_is_taken_or_refused();
    any_route_declaration_is_taken_or_refused();
    any_view_declaration_is_taken_or_refused();
    scope.first = 0, scope.last = HUGE_VALUE;
    scope.memory_mb = 4, scope.timeout_ms = 50;
}

static const struct test_case cases[] = {
    {"any response is accepted or refused", any_response_is_accepted_or_refused},
    {"a mistake in a response is refused", a_mistake_in_a_response_is_refused},
    {"a gap in the tags loses none", a_gap_in_the_tags_loses_none},
    {"any outcome and merge is accepted or refused", any_outcome_and_merge_is_accepted_or_refused},
    {"a mistake with the view is refused", a_mistake_with_the_view_is_refused},
    {"any argument of a binding is accepted or refused",
     any_argument_of_a_binding_is_accepted_or_refused},
    {"any declaration of a handler is accepted or refused",
     any_handler_declaration_is_taken_or_refused},
    {"any declaration of a route is accepted or refused",
     any_route_declaration_is_taken_or_refused},
    {"any declaration of the view is accepted or refused",
     any_view_declaration_is_taken_or_refused},
    {"sixteen megabytes are accepted or refused", sixteen_megabytes_are_accepted_or_refused},
};

TEST_MAIN(cases)
