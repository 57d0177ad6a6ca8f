/* Values from scripts: a response, outcome or declaration that raises, yields, recurses or has any
 * type is accepted or refused with the name of its file, and the process goes on. */
#include "base/log.h"
#include "border.h"

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

static void begin(void) {
    border_begin(scope.memory_mb, scope.timeout_ms);
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
    {"any outcome and merge is accepted or refused", any_outcome_and_merge_is_accepted_or_refused},
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
