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

static const struct test_case cases[] = {
    {"programs give the same compiled and interpreted",
     programs_give_the_same_compiled_and_interpreted},
};

TEST_MAIN(cases)
