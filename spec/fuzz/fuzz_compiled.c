/* fuzz_compiled: programs drawn from the input give the same compiled and interpreted, with and
 * without guards. */
#include "compiled.h"
#include "fuzz.h"

static struct compiled compiled;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    struct err err = {0};
    PROMISE(compiled_open(&compiled, true, &err));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buffer text = {0};
    struct programs programs = {.out = &text, .data = data, .len = size};
    programs_write(&programs);
    char *problem = compiled_compare(&compiled, buffer_slice(&text));
    if (problem) {
        fputs(problem, stderr);
    }
    PROMISE(!problem);
    buffer_free(&text);
    return 0;
}
