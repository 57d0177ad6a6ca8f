/* lint: names every warning of luacheck, with the sandbox's replacement. Without luacheck it tests
 * nothing. */
#include <stdlib.h>

#include "check/lint.h"
#include "scripts.h"

static void names_every_warning_of_every_file(void) {
    struct scripts scripts;
    struct err err = {0};
    scripts_begin(&scripts);
    scripts_write(&scripts, "lib/a.lua",
                  "local unused = 1\nreturn { f = function() print(io) end }");
    scripts_write(&scripts, "lib/b.lua", "return { f = function() return os.time() end }");
    struct script_generation *generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    struct lint *lint = lint_create();
    enum lint_result result =
        generation ? lint_generation(lint, generation, NULL, &err) : LINT_MISSING;
    if (result != LINT_MISSING) {
        CHECK_INT(result, LINT_BAD);
        CHECK_HAS(err.text, "/lib/a.lua:1: unused variable 'unused' (luacheck)\n");
        CHECK_HAS(err.text, "/lib/a.lua:2: accessing undefined variable 'io' (luacheck): "
                            "scripts cannot open files: log with require(\"log\")");
        CHECK_HAS(err.text, "/lib/b.lua:1: accessing undefined variable 'os' (luacheck): for "
                            "durations use require(\"clock\")");
    }
    lint_destroy(lint);
    script_generation_unref(generation);
    scripts_end(&scripts);
}

static const struct test_case cases[] = {
    {"names every warning of every file", names_every_warning_of_every_file},
};

TEST_MAIN(cases)
