/* The time limit of compiled code: scripts that run for ever end, whatever they do, once their
 * loops are machine code. */
#include "script/compiler.h"
#include "script/fuel.h"
#include "script/script_private.h"
#include "handler.h"

#define LIMIT_MS 50

static void load(const char *body) {
    scripts_begin(&scripts);
    scripts.config.scripts.handler_timeout_ms = LIMIT_MS;
    scripts_write(
        &scripts, "handlers/t.lua",
        "return { topics = { 't' }, fields = { id = 'data.id' },\nhandle = function(event, "
        "view) %s\nend }",
        body);
    handler_open();
}

/* Its loop is compiled, and ends by the clock. */
static void ends(const char *body) {
    load(body);
    int64_t started_us = clock_monotonic_us();
    enum script_result result = handle();
    int64_t took_ms = (clock_monotonic_us() - started_us) / 1000;
    if (result != SCRIPT_TIMEOUT || took_ms > 30 * LIMIT_MS || !strstr(err.text, "too long")) {
        TEST_FAIL("%s: result %d after %lld ms: %s", body, result, (long long)took_ms, err.text);
    }
    struct compiler_figures figures = compiler_measure(instance);
    if (figures.traces == 0) {
        TEST_FAIL("%s: nothing was compiled", body);
    }
    unload();
}

static void every_way_to_run_for_ever_ends(void) {
    ends("while true do end");
    ends("for i = 1, math.huge do end");
    ends("local i = 0 repeat i = i + 1 until i < 0");
    ends("::again:: goto again");
    ends("do local n = 0 ::again:: n = n + 1 if n > 0 then goto again end end");
    ends("while true do do goto continue end ::continue:: end");
    ends("local function f() return f() end f()");
    ends("local f, g f = function() return g() end g = function() return f() end f()");
    ends("for _ in function() return 1 end do end");
    ends("local t = setmetatable({}, { __index = function(t, k) return k end }) "
         "local n = 0 while true do n = t[n] + 1 end");
    ends("local t t = setmetatable({}, { __index = function(_, k) return t[k + 1] end }) "
         "while true do pcall(function() return t[1] end) end");
    ends("local t = setmetatable({}, { __call = function(self, n) return self(n + 1) end }) t(1)");
    ends("local m = {} m.__add = function(a, b) return a end local a = setmetatable({}, m) "
         "while true do a = a + a end");
    ends("local n = 0 while true do for i = 1, 100 do for k = 1, 100 do n = n + i * k end end end");
    ends("while true do pcall(function() while true do end end) end");
    ends("while true do pcall(error) end");
    ends("local n = 0 while true do pcall(function() n = n + 1 end) end");
    ends("local function f() pcall(f) pcall(f) end f()");
    ends("local s while true do s = 'x' .. 'y' .. (s or ''):sub(1, 9) end");
    ends("local function f(n) if n > 0 then return f(n - 1) + f(n - 1) end return 1 end f(1000)");
    ends("local t = {} while true do t[#t % 100 + 1] = { #t } end");
    ends("local t = {} for i = 1, 100 do t[i] = i end while true do for _, v in ipairs(t) do t.x = "
         "v "
         "end end");
    ends(
        "local t = {} for i = 1, 100 do t[i] = i end while true do for k, v in pairs(t) do t.x = v "
        "end end");
}

/* With a large text the hook fires, too: mostly within a guard. */
static void the_error_of_the_time_limit_names_the_script_alone(void) {
    static const char *const bodies[] = {
        "while true do end", "local s = ('x'):rep(2 ^ 21) while true do end",
        "local s = ('x'):rep(2 ^ 21) local function f() end while true do f() f() end"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        load(bodies[i]);
        enum script_result result = handle();
        if (result != SCRIPT_TIMEOUT || !strstr(err.text, "t.lua:2: the script took too long") ||
            strstr(err.text, "[host]") || strstr(err.text, "fuel")) {
            TEST_FAIL("%s: result %d: %s", bodies[i], result, err.text);
        }
        unload();
    }
}

/* The memory cap ends compiled code, and the process goes on. */
static void fills_up(const char *body) {
    load(body);
    scripts.config.scripts.handler_timeout_ms =
        60000; /* the cap, not the clock of a loaded machine */
    enum script_result result = handle();
    if (result != SCRIPT_ERROR || !strstr(err.text, "not enough memory") ||
        script_instance_healthy(instance)) {
        TEST_FAIL("%s: result %d: %s", body, result, err.text);
    }
    unload();
}

/* Numbers in the slots of calls before: LuaJIT of 2023 takes one for a function if an allocation
 * of compiled code fails. */
static void the_memory_cap_ends_compiled_code(void) {
    fills_up("local t = {} while true do t[#t + 1] = {} end");
    fills_up("local t = {} for i = 1, math.huge do t[i] = { i, i + 1, x = i } end");
    fills_up("local s = 'x' while true do s = s .. s end");
    fills_up("local s, t = 'x', {} for i = 1, math.huge do s = s .. 'abcdefgh' .. i t[i] = s end");
    fills_up("local t = {} for i = 1, math.huge do t['k' .. i] = i * 0.5 end");
    fills_up("local t, n = {}, 0 for i = 1, math.huge do n = n + math.max(i, 3.5) t[i] = n end");
    fills_up("local t, x = {}, tostring(1) for i = 1, math.huge do local a, b, c = i, i * 2, i / 3 "
             "t[i] = function() return a + b + c end end");
    fills_up("local s = ('x'):rep(100000) local t = {} for i = 1, math.huge do t[i] = s .. i end");
    fills_up("local t = {} while true do pcall(function() while true do t[#t + 1] = {} end end) "
             "end");
    fills_up("local s = ('x'):rep(2^24) local t = {} for i = 1, 1000 do t[i] = s .. i .. s end");
    fills_up("local s = ('x'):rep(2^20) for i = 1, 1000 do s = s .. s s = s .. s s = s .. s end");
}

/* Loads; or does not, with the text in the error. */
static void reads(const char *text, const char *problem) {
    scripts_begin(&scripts);
    scripts_write(&scripts, "handlers/t.lua", "%s", text);
    err_clear(&err);
    generation = script_generation_load(&scripts.config, 1, &err);
    if (problem ? generation || !strstr(err.text, problem) : !generation) {
        TEST_FAIL("%s: \"%s\", expected \"%s\"", text, err.text, problem ? problem : "");
    }
    script_generation_unref(generation);
    scripts_end(&scripts);
}

#define HANDLER "return { topics = { 't' }, fields = {}, handle = function() end }"

static void guards_change_no_meaning(void) {
    reads("#!/usr/bin/env lua don't while true do\n" HANDLER, NULL);
    reads("-- while true do \r local a = 1 for i = 1, 2 do a = a + 1 end assert(a == 3) " HANDLER,
          NULL);
    reads("for i = 1, 3 do if i == 2 then goto continue end local x = i ::continue:: end " HANDLER,
          NULL);
    reads("repeat local done = true if not done then goto continue end ::continue:: until "
          "true " HANDLER,
          NULL);
    reads("local f = function(...) (function() end)() return select('#', ...) end "
          "assert(f(1, 2) == 2 and select('#', ...) == 0) " HANDLER,
          NULL);
    reads("local t = { goto_x = 1 } function t.a.b() end", "t.lua:1: ");
    reads("local t = { a = {} } function t.a.b() return 1 end function t.a:c(x, y) return y end "
          "assert(t.a.b() == 1 and t.a:c(1, 2) == 2) " HANDLER,
          NULL);
    reads("local goto = 1 goto = goto + 1 assert(goto == 2) local t = { goto = 3 } "
          "assert(t.goto == 3) " HANDLER,
          NULL);
    reads("local n = 0 do ::a:: n = n + 1 if n < 3 then goto a end end assert(n == 3) " HANDLER,
          NULL);
    reads(
        "local s = [[while true do]] .. [==[ do ]] ]==] .. 'do' .. \"\\\"do\" --[[ do ]] --[=[ do "
        "\n]] ]=] assert(#s == 25) " HANDLER,
        NULL);
    reads("while false do end (type or function() end)(1) " HANDLER, NULL);
    reads("local \xC3\xA9"
          "do, dod = 1, 2 assert(\xC3\xA9"
          "do == 1) " HANDLER,
          NULL);
    reads("\xF5()" HANDLER, "t.lua:1: the byte F5 (hexadecimal) stands in a name");
    reads("local \xF7 = 1 " HANDLER, "t.lua:1: the byte F7 (hexadecimal) stands in a name");
    reads("local a = 1\nlocal sch\xF6n = a\nlocal b, \xF5 = a, a\n" HANDLER,
          "t.lua:2: the byte F6 (hexadecimal) stands in a name: write UTF-8");
    reads(
        "local t, k = { [1 + 1] = 1, ['a'] = 2, [ [[x]] ] = { [(function() return 'b' end)()] = 3 "
        "} }, "
        "{ 'a', '[' } t[k[1]], t[t[k[1]]] = 5, t[2] assert(t.a == 5 and t[2] == 1 and t.x.b == 3) "
        "t[k[#k]] = 7 t[t[k[2]]] = t[k[2]] == 7 assert(t['['] == 7 and t[7] == true) " HANDLER,
        NULL);
    reads(
        "#!/usr/bin/env lua t[1 + 1] = don't\nlocal t = {} t[1 + 1] = 2 assert(t[2] == 2) " HANDLER,
        NULL);
    reads("local t = {} t[1 + ] = 2", "t.lua:1: unexpected symbol near ']'");
    reads("-- \xF5\nlocal s = '\xF5' " HANDLER, NULL);
}

static void mistakes_have_the_message_of_the_text_as_written(void) {
    reads("while true do", "t.lua:1: 'end' expected near '<eof>'");
    reads("\nfunction f() = 1 end", "t.lua:2: unexpected symbol near '='");
    reads("for i = 1 do end", "t.lua:1: ',' expected near 'do'");
    reads("repeat", "t.lua:1: ");
    reads("\n\nfor i = 1, 2 do error('here') end", "t.lua:3: here");
    reads("local x = 1 +\n", "t.lua:2: unexpected symbol near '<eof>'");
}

/* A chunk has 200 locals: the guard takes one. */
static void a_chunk_with_too_many_locals_for_the_guard_is_explained(void) {
    char text[4096] = "";
    for (int i = 0; i < 200; i++) {
        snprintf(text + strlen(text), 16, "local a%d=1;", i);
    }
    strcat(text, HANDLER);
    reads(text, "200 local variables (the guards of compiled code take one or two of them");
    scripts_compile = false;
    reads(text, NULL);
    scripts_compile = true;
}

static const struct test_case cases[] = {
    {"every way to run for ever ends", every_way_to_run_for_ever_ends},
    {"the error of the time limit names the script alone",
     the_error_of_the_time_limit_names_the_script_alone},
    {"the memory cap ends compiled code", the_memory_cap_ends_compiled_code},
    {"guards change no meaning", guards_change_no_meaning},
    {"mistakes have the message of the text as it was written",
     mistakes_have_the_message_of_the_text_as_written},
    {"a chunk with too many locals for the guard is explained",
     a_chunk_with_too_many_locals_for_the_guard_is_explained},
};

TEST_MAIN(cases)
