/* Paths of the program itself: a route that declares one is refused by name. */
#include <stdlib.h>

#include "http/builtin_paths.h"
#include "scripts.h"

static void routes_on_paths_of_the_program_are_refused_by_name(void) {
    struct scripts scripts;
    struct err err = {0};
    scripts_begin(&scripts);
    scripts_write(&scripts, "routes/a.lua",
                  "return { path = '/a', aliases = { '/metrics' }, handle = function() end }");
    scripts_write(&scripts, "routes/b.lua",
                  "return { path = '/healthz', handle = function() end }");
    struct script_generation *generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    CHECK(generation && !builtin_paths_leave_routes(generation, &err));
    CHECK_TEXT(err.text, "routes/a: the path /metrics is reserved for the program: choose another\n"
                         "routes/b: the path /healthz is reserved for the program: choose another");
    script_generation_unref(generation);
    scripts_end(&scripts);
}

static const struct test_case cases[] = {
    {"routes on paths of the program are refused by name",
     routes_on_paths_of_the_program_are_refused_by_name},
};

TEST_MAIN(cases)
