/* Limits of scripts: any handler ends in time and within memory, and leaves nothing for the next
 * event. */
#include "handler.h"

/* A handler whose body is `body`, in a fresh state. */
static void load(const char *body) {
    scripts_begin(&scripts);
    scripts_write(&scripts, "lib/shared.lua", "return { value = 1 }");
    scripts_write(&scripts, "handlers/t.lua",
                  "local kept = {}\n"
                  "return { topics = { 't' }, fields = { id = 'data.id', none = { 'data.none', "
                  "optional = true } },\nhandle = function(event, view) %s\nend }",
                  body);
    handler_open();
}

static void check_text(const char *body, const char *text) {
    if (!strstr(err.text, text)) {
        TEST_FAIL("%s: \"%s\" has no \"%s\"", body, err.text, text);
    }
}

/* The first line has the script's place at most once. */
static void check_one_place(const char *body) {
    static const char file[] = "handlers/t.lua:";
    const char *end = err.text + strcspn(err.text, "\n");
    const char *first = strstr(err.text, file);
    const char *second = first ? strstr(first + 1, file) : NULL;
    if (second && second < end) {
        TEST_FAIL("%s: two places: %s", body, err.text);
    }
}

/* Ends by the clock, soon after its 50 ms, and the state is not used again. */
static void ends_within(int most_ms, const char *body) {
    load(body);
    scripts.config.scripts.handler_timeout_ms = 50;
    int64_t started_us = clock_monotonic_us();
    enum script_result result = handle();
    int64_t took_us = clock_monotonic_us() - started_us;
    if (result != SCRIPT_TIMEOUT || took_us > most_ms * 1000LL) {
        TEST_FAIL("%s: result %d after %lld ms: %s", body, result, (long long)took_us / 1000,
                  err.text);
    }
    check_text(body, "took too long");
    check_one_place(body);
    CHECK(!script_instance_healthy(instance));
    unload();
}

static void times_out(const char *body) {
    ends_within(3000, body);
}

/* Raises; the state stays good. */
static void raises(const char *body, const char *text) {
    load(body);
    if (handle() != SCRIPT_ERROR) {
        TEST_FAIL("%s: no error", body);
    }
    check_text(body, text);
    CHECK(script_instance_healthy(instance));
    CHECK(handle() == SCRIPT_ERROR);
    unload();
}

/* Meets the memory cap; the state is not used again. */
static void fills_up(const char *body) {
    load(body);
    int64_t started_us = clock_monotonic_us();
    enum script_result result = handle();
    bool ended = result == SCRIPT_ERROR || result == SCRIPT_TIMEOUT;
    if (!ended || script_instance_healthy(instance) ||
        clock_monotonic_us() - started_us > 5000000) {
        TEST_FAIL("%s: result %d: %s", body, result, err.text);
    }
    unload();
}

/* Runs twice in one state without an error. */
static void passes(const char *body) {
    load(body);
    for (int round = 0; round < 2; round++) {
        if (handle() != SCRIPT_OK) {
            TEST_FAIL("%s, event %d: %s", body, round + 1, err.text);
        }
    }
    unload();
}

/* ---- time --------------------------------------------------------------------------------- */

static void loops_end(void) {
    times_out("while true do end");
    times_out("local i = 0; repeat i = i + 1 until i < 0");
    times_out("for i = 1, math.huge do end");
    times_out("local function f() return f() end; f()");
    times_out("for _ in function() return 1 end do end");
    times_out("local t = setmetatable({}, { __index = function(t, k) return t[k + 1] end }); "
              "while true do pcall(function() return t[1] end) end");
}

static void loops_that_swallow_the_error_end(void) {
    times_out("while true do pcall(function() while true do end end) end");
    times_out("while true do pcall(error) end");
    times_out("while true do\n pcall(function()\n while true do\n end\n end)\n end");
    times_out("while true do xpcall(function() while true do end end, function() while true do end "
              "end) end");
    times_out("xpcall(function() while true do end end, function() end); while true do end");
    times_out("pcall(function() while true do end end)"); /* hidden by the handler, and reported */
    times_out("local function f() pcall(f); pcall(f) end; f()");
}

static void calls_back_from_c_end(void) {
    times_out("string.gsub('x', '.', function() while true do end end)");
    times_out("while true do pcall(string.gsub, 'xxxx', '.', function() error('x') end) end");
    times_out("table.sort({ 1, 2, 3 }, function() while true do end end)");
    times_out("tostring(setmetatable({}, { __tostring = function() while true do end end }))");
    times_out("local mt = { __lt = function() while true do end end }; "
              "return setmetatable({}, mt) < setmetatable({}, mt)");
    times_out("local x = setmetatable({}, { __concat = function() while true do end end }) .. 'x'");
}

static void patterns_that_explode_end(void) {
    times_out("local n = 60; string.find(('a'):rep(n), ('a?'):rep(n) .. ('a'):rep(n))");
    times_out("string.find(('a'):rep(30), ('a*'):rep(30) .. 'b')");
    times_out("string.match(('a'):rep(40), ('(.-)'):rep(20) .. 'b')");
    times_out("string.gsub(('a'):rep(1000000), '.-b', '')");
    times_out("for _ in string.gmatch(('a'):rep(1000000), '.-b') do end");
    times_out("string.find(('('):rep(1000000), '%b()x')");
    times_out("string.find(('a'):rep(1000000), '[^" /* a set of many members costs its length */
              "bcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ]*b')");
    times_out("while true do pcall(string.find, ('a'):rep(30), ('a*'):rep(30) .. 'b') end");
}

static void large_strings_do_not_stretch_the_time(void) {
    times_out("local s = ('x'):rep(2^20); while true do local t = s .. 'y' end");
    times_out("local s = ('x'):rep(2^20); while true do local t = s:lower() end");
    times_out("local s = ('x'):rep(2^20); local t = s .. 'y'; while true do local u = s < t end");
    times_out("local t = {} for i = 1, 100000 do t[i] = i end "
              "while true do table.insert(t, 1, 0); table.remove(t, 1) end");
    ends_within(1000, "local s, n = ('x'):rep(2^21), ('x'):rep(2^20) .. 'y' "
                      "while true do s:find(n, 1, true) end");
    times_out(
        "local big, list = {}, {} for i = 1, 50000 do big['k' .. i] = i end "
        "for key in pairs(big) do big[key] = nil end " /* its slots stay, and it is written {} */
        "for i = 1, 200000 do list[i] = big end require('json').encode(list)");
}

/* Instructions that read a long text are few between two looks at the clock: a thousand of these
 * would take 24 s. */
static void a_text_made_a_number_does_not_stretch_the_time(void) {
#define EIGHT "x = s + s x = s + s x = s + s x = s + s x = s + s x = s + s x = s + s x = s + s "
    ends_within(1500, "local s, x = ('1'):rep(2^22) while true do " EIGHT EIGHT EIGHT "end");
    ends_within(1500, "local s, x = ('1'):rep(2^22) while true do pcall(tonumber, s) end");
    ends_within(1500, "local s, x = ('1'):rep(2^22) while true do x = -s end");
    ends_within(1500, "local s = ('1'):rep(2^22) while true do for i = s, 1 do end end");
    ends_within(1500, "local s = ('1'):rep(2^22) while true do pcall(math.floor, s) end");
    ends_within(1500, "local s, x = ('1'):rep(2^22) pcall(function() while true do x = s + s end "
                      "end) " EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT);
#undef EIGHT
}

/* Each would be of LuaJIT's own Lua, which has no guard, or a loop in C around a slow function. */
static void loops_of_the_library_end(void) {
#define DEEP "local deep = {} for i = 1, 100000 do deep[i] = 'x' end "
    times_out("table.move({}, 1, 1e15, 2)");
    times_out("table.move({}, 1, math.huge, 2)");
    times_out("table.move({}, -1e15, 1e15, 5, setmetatable({}, { __newindex = function() end }))");
    times_out("table.move(setmetatable({}, { __index = function() end }), 1, 1e15, 1, {})");
    times_out(DEEP "table.move(setmetatable(deep, { __index = table.concat }), 1e6, 2e6, 1, "
                   "setmetatable({}, { __newindex = rawequal }))"); /* which keeps none */
    times_out("while true do pcall(table.move, {}, 1, 1e15, 2) end");
    times_out(DEEP "deep[1] = deep table.sort({ 1, 2, 3 }, function() pcall(table.move, deep, 1, "
                   "1e9, 2) end)");
    times_out(DEEP "setmetatable(deep, { __index = function() table.concat(deep) return '' end }) "
                   "string.gsub(('y'):rep(2^20), '.', deep)");
    times_out("local t = {} for i = 1, 200000 do t[i] = '' end while true do table.concat(t) end");
    times_out("local t = {} for i = 1, 7000 do t[i] = i end while true do select(-1, unpack(t)) "
              "end");
    times_out("while true do string.format('%.99f', 1e300) end");
    times_out("local t = {} for i = 1, 200000 do t[i] = i end for i = 1, 200000 do t[i] = nil end "
              "while true do next(t) end");
#undef DEEP
}

static void items_are_moved_as_in_lua(void) {
    passes("local t = { 1, 2, 3, 4, 5 } assert(table.move(t, 1, 4, 2) == t) "
           "assert(table.concat(t, ' ') == '1 1 2 3 4')");
    passes("local t = { 1, 2, 3, 4, 5 } table.move(t, 2, 5, 1) "
           "assert(table.concat(t, ' ') == '2 3 4 5 5')");
    passes("local from, to = { 1, 2, 3 }, { 'a' } assert(table.move(from, 1, 3, 2, to) == to) "
           "assert(table.concat(to, ' ') == 'a 1 2 3' and #from == 3)");
    passes("local t = {} assert(table.move({ 1 }, 1, 0, 1, t) == t and next(t) == nil)");
    passes("local seen = {} table.move({ 7, 8 }, 1, 2, 5, setmetatable({}, { __newindex = "
           "function(_, k, v) seen[k] = v end })) assert(seen[5] == 7 and seen[6] == 8)");
    passes("local seen = {} table.move(setmetatable({}, { __index = function(_, k) return k end }),"
           " -1, 1, 1, seen) assert(table.concat(seen, ' ') == '-1 0 1')");
    passes("local t = table.move({ 1 }, 1, 1, 2^53, {}) assert(t[2^53] == 1)");
    raises("table.move(1, 1, 1, 1)", "table expected");
    raises("table.move({}, 1, 'x', 1)", "bad argument #3 to 'move' (number expected, got string)");
    raises("table.move({}, 1, 1, 1, 'x')", "table expected");
    raises("local mt = {} local t = setmetatable({}, mt) "
           "mt.__index = function() table.move(t, 1, 1, 1) end table.move(t, 1, 1, 1)",
           "stack overflow");
}

static void sorting_ends(void) {
    times_out("local t = {} for i = 1, 200000 do t[i] = i % 7 end while true do table.sort(t) end");
    passes("local t = {} for i = 1, 500 do t[i] = i % 7 end "
           "table.sort(t, function() return true end); assert(#t == 500)");
    passes("local t = { 3, 1, 2 }; table.sort(t, function(a, b) return a > b end); "
           "assert(t[1] == 3 and t[2] == 2 and t[3] == 1)");
    passes("local t = {} for i = 1, 300 do t[i] = { key = i % 3, at = i } end "
           "table.sort(t, function(a, b) return a.key < b.key end) "
           "for i = 2, 300 do local a, b = t[i - 1], t[i] "
           "assert(a.key < b.key or (a.key == b.key and a.at < b.at)) end"); /* stable */
    passes("table.sort({}); table.sort({ 1 }); local t = { 'b', 'a' }; table.sort(t); "
           "assert(t[1] == 'a')");
    passes("local t = { 2, 1, 3 }; pcall(table.sort, t, function() error('x') end); "
           "assert(t[1] == 2 and t[2] == 1 and t[3] == 3)");
    raises("table.sort({ 1, 'x' })", "attempt to compare");
    raises("table.sort({ 2, 1 }, 'x')", "function expected");
}

/* ---- memory and the stack ----------------------------------------------------------------- */

static void memory_is_bounded(void) {
    fills_up("local t = {} while true do t[#t + 1] = {} end");
    fills_up("local s = 'x' while true do s = s .. s end");
    fills_up("local t = {} while true do t[#t + 1] = ('x'):rep(100000 + #t) end");
    fills_up("local t = { ('x'):rep(2^20) } for i = 1, 64 do t[i] = t[1] end table.concat(t)");
    fills_up("string.gsub(('x'):rep(2^20), '.', ('y'):rep(1000))");
    fills_up("local t = {} while true do pcall(function() while true do t[#t + 1] = {} end end) "
             "end");
    fills_up("local t = {} for i = 1, 1000 do t[i] = ('x'):rep(10000) end "
             "local s = string.format(('%s'):rep(1000), unpack(t)) t[1] = s .. s .. s");
}

static void a_state_that_ran_out_of_memory_is_not_reused(void) {
    load("kept[#kept + 1] = ('x'):rep(5 * 2^20 + #kept)");
    enum script_result result = SCRIPT_OK;
    for (int i = 0; i < 10 && result == SCRIPT_OK; i++) {
        result = handle();
    }
    CHECK_INT(result, SCRIPT_ERROR);
    CHECK_HAS(err.text, "not enough memory");
    CHECK(!script_instance_healthy(instance));
    struct script_instance *fresh = script_instance_create(generation, &err);
    CHECK_OK(fresh != NULL, &err);
    script_instance_destroy(instance);
    instance = fresh;
    CHECK(handle() == SCRIPT_OK);
    unload();
}

static void big_strings_are_refused_before_they_are_made(void) {
    raises("('x'):rep(1e12)", "16 MiB");
    raises("('x'):rep(2^24 + 1)", "16 MiB");
    passes("assert(#('x'):rep(2^20) == 2^20 and ('').rep('', 2^53) == '')");
    raises("('x'):rep(10, ('y'):rep(2^22))", "16 MiB");
    passes("assert(('ab'):rep(3, '-') == 'ab-ab-ab' and ('x'):rep(0) == '' and ('x'):rep(-1) == "
           "'')");
    raises("unpack({}, 1, 1e8)", "too many results");
    raises("table.concat({}, '', 1, 1e9)", "invalid value");
    passes("pcall(table.concat, {}, '', 1, 1e15)");
}

/* What bindings copy outside the state: one text may stand in a list a million times. */
static void data_sent_by_bindings_is_bounded(void) {
#define LIST(item) "local s, list = ('x'):rep(2^20), {} for i = 1, 100 do list[i] = " item " end "
    raises(LIST("{ 'SET', 'k', s }") "require('redis').pipeline(list)", "at most 16 MiB");
    raises(LIST("s") "require('redis').call('SADD', 'k', unpack(list))", "at most 16 MiB");
    raises(LIST("s") "require('json').encode(list)", "over 16 MiB");
#undef LIST
}

static void deep_recursion_is_an_error(void) {
    raises("local function f() return 1 + f() end; f()", "stack overflow");
    raises("local t = setmetatable({}, {}); getmetatable(t).__index = t; return t.x",
           "loop in gettable");
    raises("local function f() return (string.gsub('x', '.', f)) end f()", "stack overflow");
    raises("local function f() table.sort({ 1, 2 }, f) end f()", "stack overflow");
    raises("local mt = {}; local t = setmetatable({}, mt); mt.__index = function(t, k) return "
           "(('x'):gsub('x', t)) end; return t.x",
           "stack overflow");
    raises("local t = setmetatable({}, { __index = function(t) view.things:merge('a', 'said', t) "
           "end }); view.things:merge('a', 'said', t)",
           "stack overflow");
    passes("local function f() xpcall(f, f) end f()");
    passes("local function f() pcall(f) end f()");
    raises("local s = ('('):rep(250) .. ('a') .. (')'):rep(250); string.find('a', s)", "captures");
    raises("string.find(('a'):rep(300), ('a?'):rep(300))", "pattern too complex");
}

/* ---- errors ------------------------------------------------------------------------------- */

static void xpcall_works_as_in_lua(void) {
    passes("assert(select('#', xpcall(function(...) return 1, ... end, error, 2, 3)) == 4)");
    passes("local ok, text = xpcall(error, function(m) return m .. '!' end, 'x'); "
           "assert(ok == false and text == 'x!')");
    passes("local ok, a, b = xpcall(error, function() return 1, 2 end); assert(not ok and a == 1)");
    passes("assert(xpcall(error, function() error('again') end) == false)");
    raises("xpcall(error)", "function expected");
}

static void any_error_value_is_reported(void) {
    raises("error('plain')", "plain");
    raises("error()", "a nil value");
    raises("error(nil)", "a nil value");
    raises("error({})", "a table value");
    raises("error(setmetatable({}, { __tostring = function() error('again') end }))",
           "a table value");
    raises("error(12)", "12");
    raises("error(true)", "a boolean value");
    raises("error(error)", "a function value");
    raises("xpcall(function() error('x') end, function() error('y') end); error('after')", "after");
    raises("local x = nil .. 'x'", "concatenate");
    raises("return 1", "returned something other than nothing");
    raises("return 'ignore'", "returned something other than nothing");
    raises("return {}", "returned something other than nothing");
}

static void an_error_names_file_and_line(void) {
    raises("\nerror('here')", "handlers/t.lua:4: here");
    times_out("\n\nwhile true do end");
    CHECK_HAS(err.text, "handlers/t.lua:5");
    times_out("\nstring.find(('a'):rep(30), ('a*'):rep(30) .. 'b')");
    CHECK_HAS(err.text, "handlers/t.lua:4");
    times_out("\ntable.move({}, 1, 1e15, 2)");
    CHECK_HAS(err.text, "handlers/t.lua:4");
}

/* ---- what one event leaves for the next --------------------------------------------------- */

static void a_traceback_has_no_address(void) {
    raises("('a'):gsub('a', error)", "[builtin#");
    if (strstr(err.text, " 0x")) { /* the scripts' folder may have one in its name */
        TEST_FAIL("%s", err.text);
    }
}

static void globals_and_libraries_cannot_be_changed(void) {
    raises("string.format = nil", "string is read-only: \"format\" cannot be set");
    raises("string.mine = 1", "string is read-only");
    raises("table.insert = print", "");
    raises("math.floor = math.ceil", "math is read-only");
    raises("rawset(string, 'format', nil)", "read-only");
    raises("rawset(_G, 'x', 1)", "read-only");
    raises("x = 1", "\"x\"");
    raises("string = nil", "\"string\"");
    raises("_G.pairs = nil", "\"pairs\"");
    raises("_G._G.pairs = nil", "\"pairs\"");
    raises("return undeclared", "global \"undeclared\" is not declared");
    raises("setmetatable(string, {})", "protected");
    raises("setmetatable(_G, {})", "protected");
    raises("getmetatable('').__index = {}", "");
    raises("getmetatable('').__index.format = nil", "");
    raises("getmetatable(string).__index.format = nil", "");
    raises("require('json').decode = nil", "json is read-only");
    raises("require('log').info = nil", "log is read-only");
    raises("view.things.merge = nil", "things is read-only");
    raises("view.things = nil", "view is read-only");
    raises("view.other = {}", "view is read-only");
    raises("event.id = 'x'", "event is read-only: \"id\" cannot be set");
    raises("local e = event e.mine = 1", "event is read-only");
    raises("rawset(event, 'mine', 1)", "read-only");
    passes("assert(getmetatable('') == 'read-only' and getmetatable(_G) == 'read-only' and "
           "getmetatable(view) == 'read-only')");
}

static void tampering_does_not_reach_the_next_event(void) {
    passes(
        "pcall(function() string.format = nil end); pcall(rawset, string, 'format', 1) "
        "pcall(rawset, _G, 'string', 1); pcall(function() string = nil end) "
        "pcall(function() event.none = 1 end); pcall(function() view.things = nil end) "
        "for _, t in ipairs({ string, table, _G, event, view, view.things, require('json') }) do "
        "assert(not pcall(table.insert, t, 'x') and not pcall(table.insert, t, 1, 'x') and "
        "not pcall(table.remove, t) and not pcall(table.move, { 1 }, 1, 1, 1, t)) "
        "assert(#t == 0 and rawget(t, 1) == nil) end "
        "assert(string.format('%d', 7) == '7' and ('x'):upper() == 'X' and event.none == nil) "
        "view.things:merge(event.id, 'said', { word = 'w' })");
}

static void own_tables_are_as_ever(void) {
    passes("local t = {}; rawset(t, 'a', 1); assert(rawget(t, 'a') == 1 and t.a == 1) "
           "setmetatable(t, { __index = { b = 2 } }); assert(t.b == 2 and rawget(t, 'b') == nil) "
           "assert(rawset(t, 'c', 3) == t and next({}) == nil and select('#', 1, 2) == 2)");
    passes("local shared = require('lib.shared'); assert(shared.value == 1)");
    passes("local mine = {} local shared = require('lib.shared', mine) assert(next(mine) == nil "
           "and shared == require('lib.shared', 5) and shared == require('lib.shared'))");
    raises("rawset({}, 'a')", "value expected");
    raises("rawset('x', 'a', 1)", "table expected");
}

static void functions_that_a_replay_cannot_repeat_are_missing(void) {
    passes("assert(not pcall(function() return os end) and not pcall(function() return io end))");
    passes("for _, name in ipairs({ 'load', 'loadstring', 'loadfile', 'dofile', 'setfenv', "
           "'getfenv', 'newproxy', 'module', 'collectgarbage', 'coroutine', 'debug', "
           "'jit', 'ffi', 'package', 'bit' }) do assert(not pcall(function() return _G[name] end), "
           "name) end");
    passes("assert(not string.dump and not math.random and not math.randomseed)");
    raises("require('os')", "neither a binding nor a file");
    raises("require('ffi')", "neither a binding nor a file");
    raises("require('../../etc/passwd')", "neither a binding nor a file");
    raises("require('handlers.missing')", "neither a binding nor a file");
}

/* ---- loading ------------------------------------------------------------------------------ */

static void files_that_do_not_load_are_named(void) {
    static const struct {
        const char *text, *what;
    } table[] = {
        {"return {", "handlers/t.lua:1: "},
        {"while true do end", "took too long"},
        {"error('no')", "handlers/t.lua:1: no"},
        {"return 5", "handlers/t.lua:1: handler: this is a number, not a table"},
        {"\27LJ\2", "handlers/t.lua"},
        {"string.format = nil return {}", "string is read-only"},
        {"local x\n= 1LL return {}", "handlers/t.lua:2: 1LL is not available"},
        {"local x = 0xffULL return {}", "handlers/t.lua:1: 0xffULL is not available"},
        {"local x = 1.5i return {}", "5i is not available"},
        {"x = 1 return {}", "\"x\""},
        {"return require('handlers.t')", "module \"handlers.t\" requires itself"},
        {"local t = {} while true do t[#t + 1] = {} end", "not enough memory"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        scripts_begin(&scripts);
        scripts_write(&scripts, "handlers/t.lua", "%s", table[i].text);
        generation = script_generation_load(&scripts.config, 1, &err);
        if (generation) {
            TEST_FAIL("loaded %s", table[i].text);
        }
        check_text(table[i].text, table[i].what);
        script_generation_unref(generation);
        scripts_end(&scripts);
    }
}

static const struct test_case cases[] = {
    {"loops end", loops_end},
    {"loops that swallow the error end", loops_that_swallow_the_error_end},
    {"calls back from C end", calls_back_from_c_end},
    {"patterns that explode end", patterns_that_explode_end},
    {"large strings do not stretch the time", large_strings_do_not_stretch_the_time},
    {"a text made a number does not stretch the time",
     a_text_made_a_number_does_not_stretch_the_time},
    {"loops of the library end", loops_of_the_library_end},
    {"items are moved as in Lua", items_are_moved_as_in_lua},
    {"sorting ends, is stable, and leaves the list whole", sorting_ends},
    {"memory is bounded", memory_is_bounded},
    {"a state that ran out of memory is not reused", a_state_that_ran_out_of_memory_is_not_reused},
    {"big strings are refused before they are made", big_strings_are_refused_before_they_are_made},
    {"data sent by bindings is bounded", data_sent_by_bindings_is_bounded},
    {"deep recursion is an error", deep_recursion_is_an_error},
    {"xpcall works as in Lua", xpcall_works_as_in_lua},
    {"any error value is reported", any_error_value_is_reported},
    {"an error names file and line", an_error_names_file_and_line},
    {"a traceback has no address", a_traceback_has_no_address},
    {"globals and libraries cannot be changed", globals_and_libraries_cannot_be_changed},
    {"tampering does not reach the next event", tampering_does_not_reach_the_next_event},
    {"a script's own tables are writable", own_tables_are_as_ever},
    {"functions that a replay cannot repeat are missing",
     functions_that_a_replay_cannot_repeat_are_missing},
    {"files that do not load are named", files_that_do_not_load_are_named},
};

SCRIPTS_TEST_MAIN(cases)
