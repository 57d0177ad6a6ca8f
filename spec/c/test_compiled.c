/* Programs give the same results compiled and interpreted, with and without guards.
 *
 *     test_compiled                          a few hundred programs
 *     PROGRAMS=100000 SEED=8 test_compiled   more of them, from another seed; where it is even,
 *                                            loops are compiled at their second turn (compiled.h)
 *     PROGRAM=x.lua test_compiled            one, in a hundred states: which loops LuaJIT compiles
 *                                            differs between them */
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
    CHECK_OK(compiled_open(&compiled, seed % 2 == 0, &err), &err);
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

static void compare_in(const char *text, bool eager) {
    static struct compiled compiled; /* begins empty */
    compiled = (struct compiled){0};
    struct err err = {0};
    CHECK_OK(compiled_open(&compiled, eager, &err), &err);
    char *problem = compiled_compare(&compiled, slice_of(text));
    if (problem) {
        TEST_FAIL("%s", problem);
    }
    free(problem);
    compiled_close(&compiled);
}

static void compare(const char *text) {
    compare_in(text, false);
    compare_in(text, true);
}

static void a_given_program_gives_the_same(void) {
    const char *path = getenv("PROGRAM");
    struct buffer text = {0};
    FILE *file = path ? fopen(path, "re") : NULL;
    CHECK(file || !path);
    if (file) {
        text.len = fread(buffer_reserve(&text, 65536), 1, 65535, file);
        text.data[text.len] = '\0';
        fclose(file);
    }
    for (int i = 0; text.len > 0 && i < 50 && !test_failed; i++) {
        compare(text.data);
    }
    buffer_free(&text);
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

/* LuaJIT before 2026 takes a negative position for one behind the end, once it has compiled that.
 */
static void positions_in_texts_mean_the_same(void) {
    compare("local s, out = 'abcd', {} for i = 1, 200 do local e = i < 150 and 9 or -2\n"
            "out[i] = s:sub(1, e) .. (s:byte(1, e) or 0) end return table.concat(out, ' ')");
    compare("local s, out = 'abcd', {} local function f(c, b) return s:sub(c, b) end\n"
            "for c = -8, 8 do for b = -8, 8 do for k = 1, 70 do f(c, b) end\n"
            "for c2 = -8, 8 do for b2 = -8, 8 do out[#out % 3000 + 1] = f(c2, b2) end end end end\n"
            "return table.concat(out, ' ')");
}

static const struct test_case cases[] = {
    {"positions in texts mean the same", positions_in_texts_mean_the_same},
    {"a given program gives the same", a_given_program_gives_the_same},
    {"a key that is NaN raises at its line", a_key_that_is_nan_raises_at_its_line},
    {"programs give the same compiled and interpreted",
     programs_give_the_same_compiled_and_interpreted},
};

TEST_MAIN(cases)
