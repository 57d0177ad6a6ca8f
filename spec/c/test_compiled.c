/* Programs give the same results compiled and interpreted, with and without guards.
 *
 *     test_compiled                          a few hundred programs
 *     PROGRAMS=100000 SEED=7 test_compiled   more of them, from another seed */
#include "../fuzz/compiled.h"
#include "test.h"

static long from_environment(const char *name, long standard) {
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : standard;
}

static void programs_give_the_same_compiled_and_interpreted(void) {
    static struct compiled compiled;
    struct err err = {0};
    long count = from_environment("PROGRAMS", 400), seed = from_environment("SEED", 1);
    CHECK_OK(compiled_open(&compiled, &err), &err);
    for (long i = 0; i < count && !test_failed; i++) {
        struct buffer text = {0};
        struct programs programs = {.out = &text, .seed = (uint32_t)(seed * 1000003 + i)};
        programs_write(&programs);
        char *problem = compiled_compare(&compiled, buffer_slice(&text));
        if (problem) {
            TEST_FAIL("program %ld of seed %ld, %s", i, seed, problem);
        }
        free(problem);
        buffer_free(&text);
    }
    compiled_close(&compiled);
}

static void compare(const char *text) {
    static struct compiled compiled;
    struct err err = {0};
    CHECK_OK(compiled_open(&compiled, &err), &err);
    char *problem = compiled_compare(&compiled, slice_of(text));
    if (problem) {
        TEST_FAIL("%s", problem);
    }
    free(problem);
    compiled_close(&compiled);
}

/* The first 900 turns compile the store. Then keys are NaN. `set` stores x under c. */
#define NAN_KEYS(set)                                                                              \
    "local out, n = {}, 0/0\n"                                                                     \
    "local function f(c, x) local t = { x = x }\n" set " return t end\n"                           \
    "local function deep(x, n) if n > 0 then return deep(x, n - 1) + 1 end return #tostring(x) "   \
    "end\n"                                                                                        \
    "for i = 1, 1000 do\n"                                                                         \
    "  local ok, e = pcall(function() deep(i, 20)\n"                                               \
    "    for j = 1, 60 do f(i >= 900 and j > 50 and n or j + 0.5, j) end end)\n"                   \
    "  if not ok then out[#out + 1] = e end\n"                                                     \
    "end return table.concat(out, ' ')"

/* Compiled code of LuaJIT before September 2023 raises no error, or ends the process: key_sites.h.
 */
static void a_key_that_is_nan_raises_at_its_line(void) {
    compare(NAN_KEYS("t[c] = x"));
    compare(NAN_KEYS("t[c + 1], t.y = x, 2"));
    compare(NAN_KEYS("t.y, t[c] = x, 2"));
    compare(NAN_KEYS("local u = { [c] = x, [c - 1] = 2 }"));
    compare(NAN_KEYS("t[({ 1, [x] = c })[x]] = x"));
    compare(NAN_KEYS("t[(function() return c end)()] = x"));
    compare("local function f(t, c) t[c] = 1 return t[c] end local n, out = 0/0, {}\n"
            "for i = 1, 500 do out[i % 9 + 1] = tostring(pcall(f, {}, i > 400 and i % 2 > 0 and n "
            "or i / 3)) end\nreturn table.concat(out, ' ')");
}

static const struct test_case cases[] = {
    {"a key that is NaN raises at its line", a_key_that_is_nan_raises_at_its_line},
    {"programs give the same compiled and interpreted",
     programs_give_the_same_compiled_and_interpreted},
};

TEST_MAIN(cases)
