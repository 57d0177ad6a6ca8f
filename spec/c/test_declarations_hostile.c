/* Declarations with many problems, and hostile ones: each ends in a message. */
#include <libgen.h>

#include "base/buffer.h"
#include "declarations.h"

static void names_all_problems_at_once(void) {
    make_folders();
    error_with("view.lua", "return { { name = 't', kye = {}, groups = 7 } }");
    write_file("handlers/h.lua", "return {\n topics = 7,\n fields = { x = { 'p', mni = 1,\n"
                                 "optional = 1 } } }");
    write_file("routes/r.lua", "return {\n path = 'x', cache = { key = 'k:{id}' } }");
    write_file("view.lua", "return { { name = 't', kye = {}, groups = 7 } }");
    load_all();
    static const char *const wanted[] = {
        "handlers/h.lua:1: handler: `handle` is missing: function(event, view)\n",
        "handlers/h.lua:2: handler: `topics` takes a list, not a number",
        "handlers/h.lua:3: field x: no key \"mni\": did you mean \"min\"?\n",
        "handlers/h.lua:4: field x: `optional` takes a boolean, not a number\n",
        "routes/r.lua:1: route: `handle` is missing: function(request)\n",
        "routes/r.lua:2: route: the path \"x\" is not allowed: it must begin with a slash\n",
        "view.lua:1: table t: no key \"kye\": did you mean \"key\"?",
        "view.lua:1: table t: `groups` takes a table, not a number",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        CHECK_HAS(err.text, wanted[i]);
    }
}

static void counts_problems_that_do_not_fit(void) {
    struct buffer text = {0};
    buffer_append_text(&text, "return { topics = 'a', handle = function() end, fields = {");
    for (int i = 0; i < 64; i++) {
        buffer_append_format(&text, "f%d = { 'p', colour = 1, optional = 1 },\n", i);
    }
    buffer_append_text(&text, "} }");
    const char *got = error_with("handlers/h.lua", text.data);
    CHECK_HAS(got, ": no key \"colour\": ");
    CHECK_HAS(got, "\n… and ");
    CHECK_HAS(got, " more problems");
    buffer_free(&text);
}

/* Each ends in a message, none in an uncaught error. */
static void hostile_declarations_end_in_a_message(void) {
    static const struct {
        const char *name, *text, *wanted;
    } table[] = {
        {"handlers/h.lua", "return require('json')", "this is a module, not a declaration"},
        {"handlers/h.lua", "return _G", "this is a module, not a declaration"},
        {"routes/r.lua",
         "return setmetatable({ path = '/', handle = function() end },\n"
         "{ __index = function(_, name) error('no field ' .. tostring(name)) end })",
         "remove its metatable"},
        {"view.lua", "return setmetatable({}, { __index = error, __len = error })",
         "remove its metatable"},
        {"handlers/h.lua",
         "local f = {} for i = 1, 60 do f['f' .. i] = { 'p', type = 'list', fields = f } end\n"
         "return { topics = 'a', fields = f, handle = function() end }",
         "`fields` maps names to paths: 64 at most, and 512 with those of lists"},
        {"handlers/h.lua",
         "local f = { 'p', type = 'list' } f.fields = { x = f }\n"
         "return { topics = 'a', fields = f.fields, handle = function() end }",
         "`fields` maps names to paths"},
        {"handlers/h.lua", "local t = {} for i = 1, 1e5 do t['k' .. i] = i end return t",
         " more problems"},
        {"handlers/h.lua",
         "local t = {} for i = 1, 1e5 do t[i] = 'a' end\n"
         "return { topics = t, fields = {}, handle = function() end }",
         "`topics` has 100000 items: at most 64"},
        {"view.lua", "local t = {} for i = 1, 1e5 do t[i] = t end return t",
         "has 100000 items: at most 64"},
        {"view.lua", "local t = { {} } t[1] = t return t", "a table of the view"},
        {"routes/r.lua", "return { path = '/', cache = _G, handle = function() end }",
         "cache: this is a module"},
        {"routes/r.lua", "return { path = ('/x'):rep(1e6), handle = function() end }",
         "it is longer than 1024 bytes"},
        {"handlers/h.lua",
         "return { topics = 'a', fields = { ['\\255'] = { '\\254', x = 1 } }, "
         "handle = function() end, [0/0 ~= 0/0] = 1, [print] = 2 }",
         "handlers/h.lua"},
        {"handlers/h.lua", "return { topics = {\n'\\0' }, fields = {}, handle = function() end }",
         "`topics` has a NUL byte in it"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        CHECK_HAS(error_with(table[i].name, table[i].text), table[i].wanted);
    }
}

/* The text of a file of spec/fixtures/cases. */
static char *text_of_case(const char *name) {
    static char file[] = __FILE__, folder_of[256];
    char path[512];
    static char text[16384];
    if (!folder_of[0]) {
        snprintf(folder_of, sizeof folder_of, "%s", dirname(file));
    }
    snprintf(path, sizeof path, "%s/../fixtures/cases/%s", folder_of, name);
    FILE *stream = fopen(path, "re");
    CHECK(stream != NULL);
    size_t len = stream ? fread(text, 1, sizeof text - 1, stream) : 0;
    text[len] = '\0';
    if (stream) {
        fclose(stream);
    }
    return text;
}

static void plausible_mistakes_are_named(void) {
    static const struct {
        const char *file, *as, *wanted;
    } table[] = {
        {"route_cached_with_query.lua", "routes/r.lua",
         "routes/r.lua:9: a cached route has the parts of request.query that it declares: "},
        {"post_route_with_cache.lua", "routes/r.lua",
         "routes/r.lua:6: cache: responses of POST cannot be cached"},
        {"handler_returns_module.lua", "handlers/h.lua",
         "handlers/h.lua:2: handler: this is a module, not a declaration"},
        {"route_strict_table.lua", "routes/r.lua", "remove its metatable"},
        {"view_table_declared_twice.lua", "view.lua",
         "view.lua:15: table batch_archives: it is declared twice"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        CHECK_HAS(error_with(table[i].as, text_of_case(table[i].file)), table[i].wanted);
    }
}

static const struct test_case cases[] = {
    {"names all problems at once", names_all_problems_at_once},
    {"counts problems that do not fit", counts_problems_that_do_not_fit},
    {"hostile declarations end in a message", hostile_declarations_end_in_a_message},
    {"plausible mistakes are named", plausible_mistakes_are_named},
};

TEST_MAIN(cases)
