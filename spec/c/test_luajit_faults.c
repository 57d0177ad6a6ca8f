/* Programs that meet faults which LuaJIT corrected after the version of Debian 12 give the same
 * compiled and interpreted: docs/SANDBOX.md, "Faults of LuaJIT". A name has LuaJIT's issue. */
#include "../fuzz/compiled.h"
#include "test.h"

static struct compiled compiled;

static void same(const char *text) {
    for (int eager = 0; eager < 2; eager++) {
        struct err err = {0};
        compiled = (struct compiled){0};
        CHECK_OK(compiled_open(&compiled, eager, &err), &err);
        for (int i = 0; i < 3 && !test_failed; i++) {
            char *problem = compiled_compare(&compiled, slice_of(text));
            if (problem) {
                TEST_FAIL("%s", problem);
            }
            free(problem);
        }
        compiled_close(&compiled);
    }
}

static void issue_980_a_load_behind_a_rehash(void) {
    same("local out = {} for i = 1, 300 do local k = i % 4 + 5\n"
         "local t = { 1, 2, 3, 4, 5, 6, 7, 8 } t[k] = 'r' t[k + 1] = 'r' t[1] = nil t[2] = nil\n"
         "t[3] = nil t[4] = nil t[5] = nil t.long = 1 out[i] = t[8] end\n"
         "for i = 1, #out do out[i] = tostring(out[i]) end return table.concat(out, ' ')");
    same("local out, kept = {}, {} for i = 1, 300 do local k = i % 4 + 6\n"
         "local t = { i, i, i, i, i, i, i } kept[i] = t local u = kept[i] u[k] = i u[1] = nil u[2] "
         "= nil\n"
         "u[3] = nil u[4] = nil u[5] = nil u.long = 1 out[i] = t[k] + (t[7] or 0) end\n"
         "return table.concat(out, ' ')");
}

static void issue_981_the_key_minus_zero(void) {
    same("local n = 0 for i = 1, 200 do local t = { [-0] = i } n = n + t[0] end return "
         "tostring(n)");
    same("local n, z = 0, 0 for i = 1, 200 do local t = { 7 } t[-z] = i t[z * -1] = i + 1 n = n + "
         "t[0] end return tostring(n)");
    same(
        "local n, c = 0, 0 for i = 1, 300 do local t = {} t[i % 2 * -0] = 1 for k in pairs(t) do c "
        "= c + 1 / k end n = n + (t[0] or 5) end return n .. ' ' .. c");
}

static void issue_994_a_field_that_has_no_value_in_the_first_turns(void) {
    same("local out = {} for i = 1, 200 do local t = { 1, 2 } if i > 150 then t[2] = 'x' end "
         "out[i] = t[2] end for i = 1, #out do out[i] = tostring(out[i]) end return "
         "table.concat(out)");
    same(
        "local n, t = 0, { x = 1 } for i = 1, 200 do t = { x = t.x and 2 or 3, y = t } t.y = nil n "
        "= n + t.x end return tostring(n)");
}

static void issues_1024_and_1046_varargs_and_what_stands_behind_them(void) {
    same("local n = 0 local function f(a, i, ...) a = ... if i > 150 then n = n + i end return a "
         "end for i = 1, 200 do n = n + (f(nil, i) or 1) + (f(nil, i, i) or 1) end return "
         "tostring(n)");
    same("local last for i = 1, 200 do local x = i >= 1, ... if i > 150 then last = i end end "
         "return tostring(last)");
    same("local function f(...) return { 1, 2, ... }, ... end local n = 0 for i = 1, 200 do local "
         "t, a, b = f(i, i % 3 == 0 and 2 or nil) n = n + #t + a + (b or 0) end return "
         "tostring(n)");
}

/* select with a text for its number. */
static void issue_1083_select_of_a_text(void) {
    same(
        "local function f(...) local n = 0 for i = 1, 200 do n = n + select('2', ...) end return n "
        "end return tostring(f(1, 2, 3, 4))");
}

static void issue_1085_upvalues_that_close(void) {
    same("local out = {} local function outer(i) local x = i local get = function() return x end "
         "local set = function(y) x = y end local n = 0 for j = 1, 5 do set(get() + j) n = n + x "
         "end return get, n end\n"
         "for i = 1, 200 do local get, n = outer(i) out[i] = get() + n end return "
         "table.concat(out, ' ')");
    same("local fs, n = {}, 0 for i = 1, 300 do local x = i fs[i % 7] = function(y) x = x + y "
         "return x end n = n + fs[i % 7](1) + (fs[(i + 3) % 7] and fs[(i + 3) % 7](2) or 0) + x "
         "end return tostring(n)");
}

/* In a table of more than 65,535 keys. */
static void issue_1133_two_names_of_one_table(void) {
    same("local c = { n = 0 } local mt = { __newindex = function(t, k, v) c.n = c.n + 1 rawset(t, "
         "k, v) end }\n"
         "local function f(t, u) for i = 1, 80 do t[10] = 1 u[10] = nil t[10] = 1 u[10] = 1 end "
         "end\n"
         "local function new() return setmetatable({}, mt) end local t, big = new(), new()\n"
         "for i = 1, 65540 do rawset(big, -i, true) end f(new(), big) f(t, t) f(new(), new()) "
         "return tostring(c.n)");
}

static void issues_1164_and_1234_concat_of_tables(void) {
    same("local t = setmetatable({}, { __concat = function(...) local _, x = ... return x end }) "
         "local r for i = 1, 200 do r = '' .. '' .. t end return tostring(r == t)");
    same(
        "local t = setmetatable({}, { __concat = pcall, __call = function(x) return x end }) local "
        "r for i = 1, 200 do r = t .. t .. '' end return tostring(r)");
    same("local t = setmetatable({}, { __concat = function() return '' end }) local n = 0 for i = "
         "1, 200 do n = n + (pcall(function() return {} .. (t .. t) end) and 1 or 0) end return "
         "tostring(n)");
    same("local n = 0 local function f(x) return 'a' .. x .. 'b' end for i = 1, 200 do if pcall(f, "
         "i % 5 == 0 and {} or i) then n = n + 1 end end return tostring(n)");
}

/* Recursion: traces that call themselves, and that return below where they began. */
static void issues_1169_and_1358_recursion(void) {
    same(
        "local calls = 0 local function ret(x) return x end local function extra() return ret({}) "
        "end local function f() if calls > 400 then return end calls = calls + 1 ret(1) ret(1) "
        "f() ret('') local a, b, c, d, e, g, h, k, l, m = calls + 1, calls + 2, calls + 3, calls + "
        "4, calls + 5, calls + 6, calls + 7, calls + 8, calls + 9, calls / 3 return ret(extra()), "
        "a, b, c, d, e, g, h, k, l, m end local r = { f() } return #r .. ' ' .. calls");
    same(
        "local function f(n, a, b, c, d) if n == 0 then return a + b + c + d end local x = f(n - "
        "1, "
        "b, c, d, a + 1) return x + a end local n = 0 for i = 1, 150 do n = n + f(i, 1, 2, 3, 4) % "
        "1000 end return tostring(n)");
    same("local function f(n) if n < 2 then return n end return f(n - 1) + f(n - 2) end return "
         "tostring(f(18))");
    same("local function f(n, t) if n == 0 then return #t end t[#t + 1] = n return f(n - 1, t) end "
         "local n = 0 for i = 1, 100 do n = n + f(i, {}) end return tostring(n)");
}

static void issue_1173_functions_of_many_slots(void) {
    struct buffer text = {0};
    buffer_append_text(&text, "local r, n = { k = 1 }, 0 local function ret(x) return x end local "
                              "function f() local x = ret(1) ");
    for (int i = 0; i < 120; i++) {
        buffer_append_text(&text, "r.k, ");
    }
    buffer_append_text(&text, "r.k = nil n = n + x end for i = 1, 200 do f() ret(2) end return "
                              "tostring(n)");
    same(text.data);
    buffer_free(&text);
}

/* Values in registers while the stack grows in a branch, at every depth. */
static void issues_1016_and_1435_stacks_that_grow_in_compiled_code(void) {
    same(
        "local function wide(a, b, c, d) local e, f, g, h, k, l, m, o, p = a + 1, b + 1, c + 1, d "
        "+ "
        "1, a * 2, b * 2, c * 2, d * 2, a + b return e + f + g + h + k + l + m + o + p end\n"
        "local function pass(x, n) if n % 3 == 1 then return wide(wide(x, x, x, n), n, x, n) % 977 "
        "end return x + n end\n"
        "local function loop(n, x) local s, z = 0, x * 0.5 for i = 1, 90 do s = s + pass(i, i + n) "
        "+ z end return s end\n"
        "local function deep(n, x) local a, b, c = n, n * 2, n / 2 local s = loop(n, x) if n > 0 "
        "then s = s + deep(n - 1, x) % 1009 end return s + a + b + c end\n"
        "local out = {} for depth = 1, 320, 3 do out[#out + 1] = deep(depth, depth) end return "
        "table.concat(out, ' ')");
}

/* Compiled code that meets the end of the stack raises, in a call of pcall and out of it. */
static void issues_1196_and_1359_stack_overflow(void) {
    same("local n, m = 0, 0 local function f(x) n = n + 1 return f(x + 1) + 1 end for i = 1, 20 do "
         "local ok = pcall(f, i) m = m + (ok and 1 or 2) end return tostring(m)");
    same(
        "local m = 0 local function f(x, t) local a, b, c = x, x * 2, t.k if x % 3 == 0 then c = c "
        "+ 1 end return f(x + 1, t) + a + b + c end for i = 1, 20 do local ok = pcall(f, i, { k = "
        "i }) m = m + (ok and 1 or 2) end return tostring(m)");
}

static void issue_1262_long_sums_as_keys(void) {
    struct buffer text = {0};
    buffer_append_text(&text,
                       "local t, n = { 1, 2, 3 }, 0 for i = 1, 200 do local k = i n = n + (t[(");
    for (int i = 0; i < 150; i++) {
        buffer_append_text(&text, "k + (k + ");
    }
    buffer_append_text(&text, "k");
    for (int i = 0; i < 150; i++) {
        buffer_append_text(&text, ")");
    }
    buffer_append_text(&text, ") % 3 + 1] or 0) end return tostring(n)");
    same(text.data);
    buffer_free(&text);
}

/* Integer products whose zero decides a branch. */
static void issue_1376_products_that_are_zero(void) {
    same("local n, t = 0, {} for i = 0, 300 do local j = i % 3 if (i * j) == 0 then n = n + 1 else "
         "n "
         "= n - 2 end t[i * j] = i if t[j * 2] then n = n + t[j * 2] end end return tostring(n)");
}

static const struct test_case cases[] = {
    {"issue 980: a load behind a rehash", issue_980_a_load_behind_a_rehash},
    {"issue 981: the key -0", issue_981_the_key_minus_zero},
    {"issue 994: a field that has no value in the first turns",
     issue_994_a_field_that_has_no_value_in_the_first_turns},
    {"issues 1024 and 1046: varargs and what stands behind them",
     issues_1024_and_1046_varargs_and_what_stands_behind_them},
    {"issue 1083: select of a text", issue_1083_select_of_a_text},
    {"issue 1085: upvalues that close", issue_1085_upvalues_that_close},
    {"issue 1133: two names of one table", issue_1133_two_names_of_one_table},
    {"issues 1164 and 1234: concat of tables", issues_1164_and_1234_concat_of_tables},
    {"issues 1169 and 1358: recursion", issues_1169_and_1358_recursion},
    {"issue 1173: functions of many slots", issue_1173_functions_of_many_slots},
    {"issues 1016 and 1435: stacks that grow in compiled code",
     issues_1016_and_1435_stacks_that_grow_in_compiled_code},
    {"issues 1196 and 1359: stack overflow", issues_1196_and_1359_stack_overflow},
    {"issue 1262: long sums as keys", issue_1262_long_sums_as_keys},
    {"issue 1376: products that are zero", issue_1376_products_that_are_zero},
};

TEST_MAIN(cases)
