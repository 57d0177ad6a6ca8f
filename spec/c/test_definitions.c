/* docs/types and the program agree: each function, global, key and word of a declaration is
 * defined, and no other. Needs PG_TEST_URL. */
#include <glob.h>
#include <libgen.h>

#include "bindings/lua_modules.h"
#include "bindings/lua_util.h"
#include "script/script_private.h"
#include "spec/spec_private.h"
#include "scripts.h"
#include "words.h"

/* The top of the tree. */
static const char *root(void) {
    static char file[] = __FILE__;
    static char path[400];
    if (!path[0]) {
        snprintf(path, sizeof path, "%s/../..", dirname(file));
    }
    return path;
}

/* A file of the tree, by a name without its ending; valid until 64 more were read. */
static const char *read_file(const char *name, const char *ending) {
    static struct buffer texts[64];
    static size_t count;
    char path[512], bytes[4096];
    struct buffer *text = &texts[count++ % 64];
    snprintf(path, sizeof path, "%s/%s%s", root(), name, ending);
    FILE *file = fopen(path, "re");
    if (!file) {
        TEST_FAIL("%s cannot be read", path);
        return "";
    }
    buffer_clear(text);
    for (size_t got; (got = fread(bytes, 1, sizeof bytes, file)) > 0;) {
        buffer_append(text, bytes, got);
    }
    fclose(file);
    return text->data ? text->data : "";
}

static const char *definitions(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "docs/types/%s", name);
    return read_file(path, ".lua");
}

/* ---- modules ------------------------------------------------------------------------------ */

static struct scripts folder;
static struct script_generation *generation;
static struct script_instance *instance;

/* A state as production makes it; NULL and a failure where it cannot be made. */
static lua_State *open_state(void) {
    struct err err = {0};
    scripts_begin(&folder);
    folder.config.postgres.url = (char *)test_url("PG_TEST_URL");
    folder.config.postgres.connect_timeout_ms = 5000;
    folder.config.postgres.statement_timeout_ms = 5000;
    folder.config.redis.url = "";
    folder.config.redis.timeout_ms = 250;
    folder.config.kafka.brokers = "127.0.0.1:1";
    folder.config.kafka.client_id = "spec";
    generation = script_generation_load(&folder.config, 1, &err);
    instance = generation ? script_instance_create(generation, &err) : NULL;
    CHECK_OK(instance != NULL, &err);
    return instance ? instance->host.L : NULL;
}

static void close_state(void) {
    scripts_unload(&folder, generation, instance);
}

/* Leaves the table of a binding on the stack. */
static void push_module(lua_State *L, const luaL_Reg *module) {
    lua_pushcfunction(L, module->func);
    CHECK_INT(lua_pcall(L, 0, 1, 0), 0);
}

/* What the file of a module defines; cjson.safe has what cjson has. */
static void add_definitions(struct words *defined, const char *module) {
    char base[32], prefix[34];
    snprintf(base, sizeof base, "%.*s", (int)strcspn(module, "."), module);
    if (strcmp(base, module) != 0) {
        add_definitions(defined, base);
    }
    snprintf(prefix, sizeof prefix, "%s.", module);
    words_add_defined(defined, definitions(module), prefix);
}

static void functions_of_bindings(void) {
    lua_State *L = open_state();
    for (const luaL_Reg *module = lua_modules; L && module->name; module++) {
        struct words real = {0}, defined = {0};
        push_module(L, module);
        words_add_keys(&real, L);
        add_definitions(&defined, module->name);
        words_check_same(module->name, &real, &defined);
    }
    close_state();
}

static void files_of_bindings(void) {
    char pattern[512];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/docs/types/*.lua", root());
    CHECK_INT(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s", basename(found.gl_pathv[i]));
        *strrchr(name, '.') = '\0';
        bool is_module = strncmp(definitions(name), "---@meta _", 10) != 0;
        if (is_module && !lua_modules_find(name)) {
            TEST_FAIL("docs/types/%s.lua defines a module that there is not", name);
        }
    }
    globfree(&found);
}

/* A C function has no names for its parameters: its comment says how scripts call it. */
static void parameters_of_bindings(void) {
    for (const luaL_Reg *module = lua_modules; module->name; module++) {
        char source[64], start[48];
        snprintf(source, sizeof source, "bindings/lua_%.*s", (int)strcspn(module->name, "."),
                 module->name);
        const char *code = read_file(source, ".c");
        snprintf(start, sizeof start, "\nfunction %s.", module->name);
        size_t keyword = strlen("\nfunction ");
        for (const char *at = definitions(module->name); (at = strstr(at, start)); at++) {
            char call[128];
            snprintf(call, sizeof call, "%.*s", (int)(strcspn(at, ")") + 1 - keyword),
                     at + keyword);
            if (!strstr(code, call)) {
                TEST_FAIL("docs/types has %s, no comment of %s.c has it", call, source);
            }
        }
    }
}

static void methods_of_metrics(void) {
    lua_State *L = open_state();
    struct words real = {0}, defined = {0};
    const char *text = definitions("metrics");
    if (L) {
        for (const luaL_Reg *module = lua_modules; module->name; module++) {
            push_module(L, module); /* makes the type */
        }
        luaL_getmetatable(L, "aggregator.metric");
        lua_getfield(L, -1, "__index");
        words_add_keys(&real, L);
    }
    words_add_defined(&defined, text, "Counter:");
    words_add_defined(&defined, text, "Gauge:");
    words_add_defined(&defined, text, "Histogram:");
    words_check_same("metric", &real, &defined);
    close_state();
}

static struct words transaction_keys;

static int take_transaction(lua_State *L) {
    words_add_keys(&transaction_keys, L);
    return 0;
}

static void keys_of_a_transaction(void) {
    lua_State *L = open_state();
    struct words defined = {0};
    if (L) {
        lua_pushcfunction(L, lua_modules_find("pg"));
        CHECK_INT(lua_pcall(L, 0, 1, 0), 0);
        lua_getfield(L, -1, "transaction");
        lua_pushcfunction(L, take_transaction);
        struct lua_limit outer = script_limit_begin(instance, 5000);
        CHECK_INT(lua_pcall(L, 1, 1, 0), 0);
        script_limit_end(instance, outer);
    }
    words_add_fields(&defined, definitions("pg"), "pg.Transaction", NULL);
    words_check_same("tx", &transaction_keys, &defined);
    close_state();
}

static void globals(void) {
    lua_State *L = open_state();
    struct words real = {0}, defined = {0};
    if (L) {
        lua_pushvalue(L, LUA_GLOBALSINDEX);
        protect_push_original(L, lua_gettop(L));
        words_add_keys(&real, L);
    }
    words_add_defined(&defined, definitions("sandbox"), "");
    const char *const libraries[] = {"string", "table", "math"}; /* LuaLS has them */
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        words_add(&defined, libraries[i], strlen(libraries[i]));
    }
    words_check_same("sandbox", &real, &defined);
    close_state();
}

static void open_handlers(lua_State *L) {
    spec_handlers_open(L, NULL);
}

static void helpers_of_specs(void) {
    static const struct {
        const char *name;
        void (*open)(lua_State *L);
    } helpers[] = {{"handlers", open_handlers},
                   {"routes", spec_routes_open},
                   {"reactions", spec_reactions_open},
                   {"fixtures", spec_fixtures_open},
                   {"sources", spec_sources_open}};
    lua_State *L = open_state();
    for (size_t i = 0; L && i < sizeof helpers / sizeof *helpers; i++) {
        struct words real = {0}, defined = {0};
        char file[32], prefix[32];
        snprintf(file, sizeof file, "testing/%s", helpers[i].name);
        snprintf(prefix, sizeof prefix, "%s.", helpers[i].name);
        helpers[i].open(L);
        words_add_keys(&real, L);
        words_add_defined(&defined, definitions(file), prefix);
        words_check_same(file, &real, &defined);
    }
    close_state();
}

/* ---- options ------------------------------------------------------------------------------ */

/* The list in a C source that the keys of a table are checked by, and the classes that define them.
 */
static void check_list(const char *source, const char *list, const char *file,
                       const char *const *classes) {
    char start[64];
    struct words real = {0}, defined = {0};
    snprintf(start, sizeof start, "%s[] = {", list);
    const char *code = strstr(read_file(source, ".c"), start);
    words_add_quoted(&real, code, code ? strchr(code, '}') : NULL);
    for (; *classes; classes++) {
        words_add_fields(&defined, definitions(file), *classes, NULL);
    }
    words_check_same(source, &real, &defined);
}

static void options_of_bindings(void) {
    check_list("bindings/lua_http", "fields", "http", (const char *[]){"http.Request", NULL});
    check_list("bindings/lua_kafka", "fields", "kafka",
               (const char *[]){"kafka.Record", "kafka.TimedRecord", NULL});
    check_list("bindings/lua_kafka", "options", "kafka", (const char *[]){"kafka.Options", NULL});
}

static void keys_of_results(void) {
    check_list("host/script/response", "known", "declarations", (const char *[]){"Response", NULL});
    check_list("host/script/message", "fields", "declarations", (const char *[]){"Message", NULL});
}

static void kinds_of_failures(void) {
    static const enum err_kind kinds[] = {ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_INPUT, ERR_INTERNAL};
    struct words real = {0}, defined = {0};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        words_add(&real, err_kind_name(kinds[i]), strlen(err_kind_name(kinds[i])));
    }
    const char *kind = words_add_fields(NULL, definitions("declarations"), "Failure", "kind");
    words_add_quoted(&defined, kind, kind ? strchr(kind, '\n') : NULL);
    words_check_same("failure.kind", &real, &defined);
}

/* ---- declarations ------------------------------------------------------------------------- */

#define UNKNOWN "zzzzzzzzzzzzzzzzzzzzzzzz" /* near to no word, so that the error lists them */
#define HANDLER(field, more)                                                                       \
    "return { topics = 't', fields = { f = " field " }, handle = function() end" more " }"
#define VIEW(table, group)                                                                         \
    "return { { name = 'things', key = { { 'id', 'text' } }" table                                 \
    ", groups = { { name = 'said', columns = {}" group " } } } }"

/* A declaration with an unknown word, and the class or field whose words the error must list. */
static const struct declaration {
    const char *file, *text, *class, *field;
} declarations[] = {
    {"handlers/h.lua", HANDLER("'a'", ", " UNKNOWN " = 1"), "Handler", NULL},
    {"handlers/h.lua", HANDLER("{ 'a', " UNKNOWN " = 1 }", ""), "Field", NULL},
    {"handlers/h.lua", HANDLER("{ 'a', type = '" UNKNOWN "' }", ""), "Field", "type"},
    {"routes/r.lua", "return { path = '/', handle = function() end, " UNKNOWN " = 1 }", "Route",
     NULL},
    {"routes/r.lua",
     "return { path = '/', handle = function() end, cache = { key = 'k', " UNKNOWN " = 1 } }",
     "RouteCache", NULL},
    {"routes/r.lua",
     "return { path = '/', handle = function() end, cache = { key = 'k', vary = { " UNKNOWN
     " = 1 } } }",
     "RouteVary", NULL},
    {"routes/r.lua",
     "return { path = '/', handle = function() end, words = { at = 'k', " UNKNOWN " = 1 } }",
     "RouteWords", NULL},
    {"routes/r.lua",
     "return { path = '/', handle = function() end, rate_limit = { requests = 1, " UNKNOWN
     " = 1 } }",
     "RouteRateLimit", NULL},
    {"routes/r.lua",
     "return { path = '/', method = 'POST', handle = function() end, body = { " UNKNOWN " = 1 } }",
     "RouteBody", NULL},
    {"envelope.lua", "return { id = 'i', time = 't', correlation_id = 'c', " UNKNOWN " = 1 }",
     "EnvelopeDeclaration", NULL},
    {"reactions/n.lua",
     "return { follows = { t = 'id' }, query = 'q', publish = function() end, " UNKNOWN " = 1 }",
     "Reaction", NULL},
    {"routes/r.lua", "return { path = '/', method = '" UNKNOWN "', handle = function() end }",
     "Route", "method"},
    {"view.lua", VIEW(", " UNKNOWN " = 1", ", rule = 'latest'"), "TableDeclaration", NULL},
    {"view.lua", VIEW("", ", rule = 'latest', " UNKNOWN " = 1"), "GroupDeclaration", NULL},
    {"view.lua", VIEW("", ", rule = '" UNKNOWN "'"), "GroupDeclaration", "rule"},
};

/* The words of a field's type, which is up to the first blank. */
static void add_choices(struct words *words, const char *text, const char *class,
                        const char *field) {
    const char *line = words_add_fields(NULL, text, class, field);
    const char *type = line ? strchr(line, ' ') : NULL;
    words_add_quoted(words, type, type ? type + 1 + strcspn(type + 1, " \n") : NULL);
}

static void check_declaration(const struct declaration *declaration) {
    struct scripts scripts;
    struct words real = {0}, defined = {0};
    struct err err = {0};
    const char *text = definitions("declarations");
    scripts_begin(&scripts);
    scripts_write(&scripts, declaration->file, "%s", declaration->text);
    CHECK(script_generation_load(&scripts.config, 1, &err) == NULL);
    words_add_listed(&real, err.text);
    if (declaration->field) {
        add_choices(&defined, text, declaration->class, declaration->field);
    } else {
        words_add_fields(&defined, text, declaration->class, NULL);
    }
    words_check_same(declaration->class, &real, &defined);
    scripts_end(&scripts);
}

static void words_of_declarations(void) {
    for (size_t i = 0; i < sizeof declarations / sizeof *declarations; i++) {
        check_declaration(&declarations[i]);
    }
}

static void fields_of_every_event(void) {
    struct scripts scripts;
    struct words real = {0}, defined = {0};
    struct err err = {0};
    size_t count = 0;
    scripts_begin(&scripts);
    scripts_write(&scripts, "handlers/h.lua", "%s", HANDLER("'a'", ""));
    struct script_generation *loaded = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(loaded != NULL, &err);
    const struct script_handler *handler =
        loaded ? script_generation_handlers(loaded, &count) : NULL;
    for (size_t i = 0; handler && i < ENVELOPE_ROLES; i++) {
        if (!handler->fields[i].check_only) {
            words_add(&real, handler->fields[i].name, strlen(handler->fields[i].name));
        }
    }
    words_add_fields(&defined, definitions("declarations"), "Event", NULL);
    words_check_same("event", &real, &defined);
    script_generation_unref(loaded);
    scripts_end(&scripts);
}

static const struct test_case cases[] = {
    {"each function of a binding is defined, and no other", functions_of_bindings},
    {"each defined module is a binding", files_of_bindings},
    {"parameters have the names of the bindings' comments", parameters_of_bindings},
    {"the methods of metrics are those of their classes", methods_of_metrics},
    {"a transaction has the methods of its class", keys_of_a_transaction},
    {"the globals are those of the sandbox", globals},
    {"the helpers of specs have the defined functions", helpers_of_specs},
    {"options of requests and records are those that are checked", options_of_bindings},
    {"a response and a message have the keys that are checked", keys_of_results},
    {"the kinds of failures are defined", kinds_of_failures},
    {"declarations take the keys and words that are defined", words_of_declarations},
    {"every event has the fields of its class", fields_of_every_event},
};
TEST_MAIN(cases)
