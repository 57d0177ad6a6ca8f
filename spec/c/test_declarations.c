/* Declarations of scripts: what is wrong is named by file and field, with the nearest right word.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../host/script/script.h"
#include "test.h"

static char folder[] = "/tmp/aggregator-declarations.XXXXXX";
static struct err err;

static const char good_view[] = "return { { name = 't', key = { { 'id', 'text' } }, groups = {"
                                "{ name = 'g', rule = 'latest', columns = {} } } } }";
static const char good_handler[] =
    "return { topics = { 'a' }, fields = {}, handle = function() end }";
static const char good_route[] = "return { path = '/', handle = function() end }";

static void write_file(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    CHECK(file != NULL);
    if (file) {
        fputs(text, file);
        fclose(file);
    }
}

static void make_folder(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    mkdir(path, 0700);
}

static void remove_files(void) {
    static const char *const names[] = {"view.lua", "handlers/h.lua", "routes/r.lua",
                                        "handlers", "routes",         "queries"};
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    rmdir(folder);
}

/* Once; the folder goes when the program ends. */
static void make_folders(void) {
    static bool made;
    if (!made) {
        made = mkdtemp(folder) != NULL;
        CHECK(made);
        atexit(remove_files);
        make_folder("handlers");
        make_folder("routes");
        make_folder("queries");
    }
}

/* The error of loading scripts of which one file has this text, or "". */
static const char *error_with(const char *name, const char *text) {
    struct config config = {.refs = 1};
    config.scripts.root = config.scripts.sql = folder;
    config.scripts.memory_limit_mb = 16;
    make_folders();
    write_file("view.lua", good_view);
    write_file("handlers/h.lua", good_handler);
    write_file("routes/r.lua", good_route);
    if (name) {
        write_file(name, text);
    }
    err_clear(&err);
    script_generation_unref(script_generation_load(&config, 1, &err));
    return err.text;
}

static void refuses(const char *name, const char *text, const char *wanted) {
    const char *got = error_with(name, text);
    size_t skip = strlen(folder) + 1;
    if (strncmp(got, folder, strlen(folder)) != 0) {
        skip = 0;
    }
    CHECK_TEXT(strlen(got) > skip ? got + skip : got, wanted);
}

static void refuses_field(const char *field, const char *wanted) {
    char text[512], full[512];
    snprintf(text, sizeof text,
             "return { topics = { 'a' }, fields = { x = %s }, handle = function() end }", field);
    snprintf(full, sizeof full, "handlers/h.lua:1: field x: %s", wanted);
    refuses("handlers/h.lua", text, full);
}

static void takes_good_declarations(void) {
    CHECK_TEXT(error_with(NULL, NULL), "");
}

static void names_a_wrong_key_of_a_field(void) {
    refuses_field("{ 'p', optionl = true }", "no key \"optionl\": did you mean \"optional\"?");
    refuses_field("{ 'p', mni = 1 }", "no key \"mni\": did you mean \"min\"?");
    refuses_field("{ 'p', reqired_if = 'y' }",
                  "no key \"reqired_if\": did you mean \"required_if\"?");
    refuses_field("{ 'p', colour = 1 }",
                  "no key \"colour\": there are type, optional, required_if, check_only, min, max, "
                  "enum, fields");
}

static void names_a_wrong_type(void) {
    refuses_field("{ 'p', type = 'interger' }", "no type \"interger\": did you mean \"integer\"?");
    refuses_field("{ 'p', type = 'float' }",
                  "no type \"float\": there are string, integer, number, boolean, timestamp, uuid, "
                  "json, object, strings, list");
}

static void names_a_wrong_value(void) {
    refuses_field("{ 'p', optional = 'yes' }", "`optional` takes a boolean, not a string");
    refuses_field("{ 'p', min = '1' }", "`min` takes a number, not a string");
    refuses_field("{ 'p', type = 'boolean', max = 1 }", "`max` is for numbers and strings");
    refuses_field("{ 'p', enum = 'a' }", "`enum` takes a table, not a string");
    refuses_field("{ 'p', enum = { 1 } }", "`enum` is a table of strings, for a string");
    refuses_field("{ 'p', type = 'integer', enum = { 'a' } }",
                  "`enum` is a table of strings, for a string");
    refuses_field("{ 'p', type = 'list' }", "a list needs `fields`, and only a list has it");
    refuses_field("{ 'p', fields = {} }", "a list needs `fields`, and only a list has it");
    refuses_field("{}", "its paths are strings, at least one");
    refuses_field("{ 1 }", "its paths are strings, at least one");
    refuses_field("7", "say a path or a table");
    refuses_field("{ 'p', required_if = 'y' }", "required_if: no field \"y\": there is x");
}

static void names_a_wrong_key_of_a_handler(void) {
    refuses("handlers/h.lua", "return { topic = { 'a' }, fields = {}, handle = function() end }",
            "handlers/h.lua:1: handler: no key \"topic\": did you mean \"topics\"?");
    refuses("handlers/h.lua", "return { topics = { 'a' }, handle = function() end }",
            "handlers/h.lua: `fields` is a table, maybe empty");
    refuses("handlers/h.lua", "return { fields = {}, handle = function() end }",
            "handlers/h.lua: `topics` is a list of names, at least one");
}

static void names_a_wrong_key_of_a_route(void) {
    refuses("routes/r.lua", "return { path = '/', handel = function() end }",
            "routes/r.lua:1: route: no key \"handel\": did you mean \"handle\"?");
    refuses("routes/r.lua",
            "return { path = '/', cache = { keys = 'k' }, handle = function() end }",
            "routes/r.lua:1: cache: no key \"keys\": did you mean \"key\"?");
}

static void names_a_wrong_word_of_the_view(void) {
    refuses("view.lua", "return { { name = 't', keys = {}, groups = {} } }",
            "view.lua:1: table t: no key \"keys\": did you mean \"key\"?");
    refuses("view.lua",
            "return { { name = 't', key = { { 'id', 'text' } }, groups = {"
            "{ name = 'g', rule = 'lastest', columns = {} } } } }",
            "view.lua:1: group t.g: no rule \"lastest\": did you mean \"latest\"?");
}

static void names_the_line_of_a_wrong_word(void) {
    refuses("handlers/h.lua",
            "-- optionl = true\nreturn {\n  topics = { 'a' },\n  fields = {\n"
            "    x = 'optionl', y = { 'p',\n      optionl = true } },\n  handle = function() end }",
            "handlers/h.lua:6: field y: no key \"optionl\": did you mean \"optional\"?");
    refuses("handlers/h.lua",
            "return { topics = { 'a' },\n fields = { a = 'a',\n b = 7 }, handle = function() end }",
            "handlers/h.lua:3: field b: say a path or a table");
    refuses("handlers/h.lua", "return { topics = { 'a' },\n fields = {},\n handle = 7 }",
            "handlers/h.lua:3: `handle` must be a function");
    refuses("view.lua",
            "return { { name = 't', key = { { 'id', 'text' } }, groups = {"
            "{ name = 'group', rule = 'latest', columns = {} } },\ncontent = 'gruop' } }",
            "view.lua:2: table t: content: no group \"gruop\": did you mean \"group\"?");
}

static void names_file_and_line_of_a_syntax_error(void) {
    refuses("handlers/h.lua", "return {\n  topics = = 1\n}",
            "handlers/h.lua:2: unexpected symbol near '='");
}

static const struct test_case cases[] = {
    {"takes good declarations", takes_good_declarations},
    {"names a wrong key of a field", names_a_wrong_key_of_a_field},
    {"names a wrong type", names_a_wrong_type},
    {"names a wrong value", names_a_wrong_value},
    {"names a wrong key of a handler", names_a_wrong_key_of_a_handler},
    {"names a wrong key of a route", names_a_wrong_key_of_a_route},
    {"names a wrong word of the view", names_a_wrong_word_of_the_view},
    {"names the line of a wrong word", names_the_line_of_a_wrong_word},
    {"names file and line of a syntax error", names_file_and_line_of_a_syntax_error},
};

TEST_MAIN(cases)
