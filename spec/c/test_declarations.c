/* Declarations of scripts: problems are named by file, field and nearest valid name. */
#include "declarations.h"

static void refuses_field(const char *field, const char *wanted) {
    char text[512], full[512];
    snprintf(text, sizeof text,
             "return { topics = { 'a' }, fields = { x = %s }, handle = function() end }", field);
    snprintf(full, sizeof full, "handlers/h.lua:1: field x: %s", wanted);
    refuses("handlers/h.lua", text, full);
}

static void accepts_good_declarations(void) {
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
                  "no type \"float\": there are string, integer, bigint, number, boolean, "
                  "timestamp, date, uuid, json, object, strings, list");
}

static void names_a_wrong_value(void) {
    refuses_field("{ 'p', optional = 'yes' }", "`optional` takes a boolean, not a string");
    refuses_field("{ 'p', min = '1' }", "`min` takes a number, not a string");
    refuses_field("{ 'p', type = 'boolean', max = 1 }", "`max` is for numbers and strings");
    refuses_field("{ 'p', enum = 'a' }", "`enum` takes a table, not a string");
    refuses_field("{ 'p', enum = { 1 } }", "`enum` is a table of strings, 512 at most");
    refuses_field("{ 'p', enum = {} }", "`enum` is empty: no value would be accepted");
    refuses_field("{ 'p', type = 'integer', enum = { 'a' } }", "`enum` is for a string");
    refuses_field("{ 'p', type = 'list' }", "`fields` belongs to a list, and a list needs it");
    refuses_field("{ 'p', fields = {} }", "`fields` belongs to a list, and a list needs it");
    refuses_field("{}", "its paths are missing: strings, at least one");
    refuses_field("{ 1 }", "`path` takes strings, not a number");
    refuses_field("{ 'a', nil, 'b' }", "its list part has a gap or another key (a number)");
    refuses_field("'a..b'", "the path \"a..b\" has an empty part");
    refuses_field("7", "a field is a path or a table, not a number");
    refuses_field("{ 'p', required_if = 'y' }",
                  "required_if: no other field \"y\": there are none");
    refuses_field("{ 'p', required_if = 'x' }",
                  "required_if: no other field \"x\": there are none");
}

static void names_a_wrong_key_of_a_handler(void) {
    refuses("handlers/h.lua", "return { topic = { 'a' }, fields = {}, handle = function() end }",
            "handlers/h.lua:1: handler: no key \"topic\": did you mean \"topics\"?");
    refuses(
        "handlers/h.lua", "return { topics = { 'a' }, handle = function() end }",
        "handlers/h.lua:1: handler: `fields` is missing: a table of paths by name, may be empty");
    refuses("handlers/h.lua", "return { fields = {}, handle = function() end }",
            "handlers/h.lua:1: handler: `topics` is missing: a list of names, at least one");
}

static void names_a_wrong_key_of_a_route(void) {
    refuses("routes/r.lua", "return { path = '/', handel = function() end }",
            "routes/r.lua:1: route: no key \"handel\": did you mean \"handle\"?");
    refuses("routes/r.lua",
            "return { path = '/', cache = { keys = 'k' }, handle = function() end }",
            "routes/r.lua:1: cache: no key \"keys\": did you mean \"key\"?");
}

static void names_a_wrong_word_of_the_view(void) {
    refuses("view.lua",
            "return { { name = 't', keys = {}, groups = {"
            "{ name = 'g', rule = 'latest', columns = {} } } } }",
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
            "handlers/h.lua:3: field b: a field is a path or a table, not a number");
    refuses("handlers/h.lua", "return { topics = { 'a' },\n fields = {},\n handle = 7 }",
            "handlers/h.lua:3: handler: `handle` takes a function, not a number: function(event, "
            "view)");
    refuses("view.lua",
            "return { { name = 't', key = { { 'id', 'text' } }, groups = {"
            "{ name = 'group', rule = 'latest', columns = {} } },\ncontent = 'gruop' } }",
            "view.lua:2: table t: content: no group \"gruop\": did you mean \"group\"?");
}

static void names_file_and_line_of_a_syntax_error(void) {
    refuses("handlers/h.lua", "return {\n  topics = = 1\n}",
            "handlers/h.lua:2: unexpected symbol near '='");
}

/* ---- bounds, names, paths ------------------------------------------------------------------ */

static void names_bounds_that_no_value_meets(void) {
    refuses_field("{ 'p', type = 'integer', min = 2, max = 1 }",
                  "`min` 2 is more than `max` 1: no value would be accepted");
    refuses_field("{ 'p', type = 'number', min = 0/0 }",
                  "`min` is not a finite number: omit it for no bound");
    refuses_field("{ 'p', type = 'number', max = math.huge }",
                  "`max` is not a finite number: omit it for no bound");
    refuses_field("{ 'p', type = 'integer', max = 1.5 }", "`max` is a whole number here, not 1.5");
    refuses_field("{ 'p', min = -1 }", "`min` is a length in bytes here, not -1");
    refuses_field("{ 'p', enum = { 'a' }, min = 5 }",
                  "`min` and `max` have no effect with `enum`: remove them");
}

static void names_lists_with_a_gap_and_words_with_two_meanings(void) {
    refuses_field("{ 'p', enum = { 'a', 'b', [4] = 'c' } }", "the list of `enum` has a gap");
    refuses_field("{ 'p', enum = { 'a', 'a' } }", "`enum` has \"a\" twice");
    refuses_field("{ 'p', enum = { 'a', a = 'b' } }", "`enum` has \"a\" twice");
    refuses("handlers/h.lua",
            "return { topics = { [1] = 'a', [3] = 'b' }, fields = {}, handle = function() end }",
            "handlers/h.lua:1: handler: `topics` takes a list of names without a gap");
    refuses("handlers/h.lua",
            "return { topics = { 'a', x = 'b' }, fields = {}, handle = function() end }",
            "handlers/h.lua:1: handler: `topics` takes a list of names without a gap");
    refuses("view.lua",
            "return { { name = 't', key = { { 'id', 'text' } }, groups = { { name = 'g', rule = "
            "'latest', columns = { { 'word', 'text', unique = true } } } } } }",
            "view.lua:1: group t.g: `column` takes a list of strings: the table has a gap or "
            "another key");
}

static void names_duplicate_declarations(void) {
    static const char view[] =
        "return {\n{ name = 't', key = { { 'id', 'text' } }, groups = {\n"
        "{ name = 'g', rule = 'latest', columns = { { 'a', 'text' },\n{ 'a', 'text' } } },\n"
        "{ name = 'g', rule = 'min', columns = { { 'g_at', 'timestamp' } } } } },\n"
        "{ name = 't', key = { { 'id', 'text' } }, groups = {\n"
        "{ name = 'g', rule = 'latest', columns = {} } } } }";
    const char *got = error_with("view.lua", view);
    CHECK_HAS(got, "view.lua:4: table t: column a: the table has two columns of this name\n");
    CHECK_HAS(got, "view.lua:5: group t.g: it is declared twice\n");
    CHECK_HAS(got, "table t: column g_at: the table has two columns of this name\n");
    CHECK_HAS(got, "view.lua:6: table t: it is declared twice");
    refuses("handlers/h.lua",
            "return { topics = { 'a',\n'a' }, fields = {}, handle = function() end }",
            "handlers/h.lua:1: handler: the topic a is declared twice");
    refuses(
        "handlers/h.lua",
        "return { topics = 'a', fields = {\ntime = 'x' }, handle = function() end }",
        "handlers/h.lua:2: handler: field time: the envelope reserves this name: choose another");
}

static void names_invalid_topics_and_types(void) {
    refuses("handlers/h.lua", "return { topics = 'a b', fields = {}, handle = function() end }",
            "handlers/h.lua:1: handler: \"a b\" is not a topic name: use letters, digits, . _ and "
            "-, up to "
            "249 bytes");
    refuses("view.lua",
            "return { { name = 't', key = { { 'id', 'Text' } }, groups = {"
            "{ name = 'g', rule = 'latest', columns = {} } } } }",
            "view.lua:1: table t: column id: no type \"Text\": did you mean \"text\"?");
    refuses("view.lua",
            "return { { name = 't', key = { { 'id', 'int64' } }, groups = {"
            "{ name = 'g', rule = 'latest', columns = {} } } } }",
            "view.lua:1: table t: column id: no type \"int64\": did you mean \"bigint\"?");
    refuses("view.lua",
            "return { { name = 't', key = { { 'id', 'content' } }, groups = {"
            "{ name = 'g', rule = 'latest', columns = {} } } } }",
            "view.lua:1: table t: a key column of type content needs `content`, the group whose "
            "values it hashes");
}

/* The key's columns, and the rest of the one group after its name. */
static void refuses_view(const char *key, const char *group, const char *wanted) {
    char text[512], full[512];
    snprintf(text, sizeof text,
             "return { { name = 't', key = { %s }, groups = { { name = 'g', %s } } } }", key,
             group);
    snprintf(full, sizeof full, "view.lua:1: %s", wanted);
    refuses("view.lua", text, full);
}

static void names_what_a_rule_does_not_take(void) {
    static const char id[] = "{ 'id', 'text' }";
    refuses_view(id, "rule = 'min', columns = { { 'c', 'text[]' } }",
                 "group t.g: min takes one column of text, integer, bigint, double, boolean, "
                 "timestamp, date or uuid");
    refuses_view(id, "rule = 'set', columns = { { 'c', 'text' } }",
                 "group t.g: set takes one column of text[], id[], integer[], bigint[], date[] or "
                 "uuid[]");
    refuses_view(id, "rule = 'set', columns = { { 'c', 'double[]' } }",
                 "group t.g: set takes one column of text[], id[], integer[], bigint[], date[] or "
                 "uuid[]");
    refuses_view(id, "rule = 'set', columns = {}",
                 "group t.g: set takes one column of text[], id[], integer[], bigint[], date[] or "
                 "uuid[]");
    refuses_view(id, "rule = 'count', columns = { { 'c', 'text[]' } }",
                 "group t.g: count takes one column of integer, to which a merge gives the id of "
                 "what is counted");
    refuses_view(id, "rule = 'set', limit = 0, columns = { { 'c', 'id[]' } }",
                 "group t.g: `limit` is the most items that a group with the rule set or count "
                 "keeps, from 1 to 10000");
    refuses_view(id, "rule = 'latest', limit = 5, columns = {}",
                 "group t.g: `limit` is the most items that a group with the rule set or count "
                 "keeps, from 1 to 10000");
    refuses_view("{ 'g_sources', 'text' }", "rule = 'count', columns = { { 'c', 'integer' } }",
                 "table t: column g_sources: the table has two columns of this name");
    refuses_view(
        "{ 'id', 'double' }", "rule = 'latest', columns = {}",
        "table t: key column id: a key takes text, uuid, integer, bigint, date, timestamp, "
        "content or an enum");
}

/* The rest of the retention, and what follows it in the table. */
static void refuses_retention(const char *retention, const char *wanted) {
    char text[600], full[512];
    snprintf(text, sizeof text,
             "return { { name = 't', key = { { 'id', 'text' } }, retention = { %s, "
             "groups = { { name = 'g', rule = 'first', columns = {} }, "
             "{ name = 'l', rule = 'latest', columns = {} } } }, "
             "{ name = 'u', key = { { 'id', 'text' } }, groups = {"
             "{ name = 'g', rule = 'first', columns = {} } } } }",
             retention);
    snprintf(full, sizeof full, "view.lua:1: %s", wanted);
    refuses("view.lua", text, full);
}

static void names_what_a_retention_does_not_take(void) {
    refuses_retention(
        "days = 40, by = 'g' }",
        "table t: retention: `span_days` is missing: the most days between the time of "
        "a row and the newest event about it");
    refuses_retention("days = 0.5, span_days = 0, by = 'g' }",
                      "table t: retention: `days` is a whole number of days from 1 to 36500");
    refuses_retention(
        "days = 40, span_days = 30, by = 'g' }",
        "table t: retention: `days` is at least `span_days` + 14: an event is expired "
        "`span_days` before a row of its age leaves, and none younger than 14 days is");
    refuses_retention("days = 40, span_days = 1, by = 'l' }",
                      "table t: retention: no group with the rule first \"l\": there is g");
    refuses_retention(
        "days = 40, span_days = 1, by = 'g', with = { ['U u'] = 'id' } }",
        "table t: retention: \"U u\" is not a name: use lower-case letters, digits and "
        "_, up to 63 bytes");
    refuses_retention("days = 40, span_days = 1, by = 'g', with = { t = 'id' } }",
                      "table t: retention: `with` names t, whose rows leave with the same table "
                      "already");
}

static void refuses_route(const char *declaration, const char *wanted) {
    char text[512], full[512];
    snprintf(text, sizeof text, "return { %s, handle = function() end }", declaration);
    snprintf(full, sizeof full, "routes/r.lua:1: %s", wanted);
    refuses("routes/r.lua", text, full);
}

static void names_impossible_paths(void) {
    static const struct {
        const char *path, *why;
    } table[] = {
        {"a", "it must begin with a slash"},
        {"/a b", "use letters, digits and -._~!$&'()*+,;=:@ only"},
        {"/a?b=1", "use letters, digits and -._~!$&'()*+,;=:@ only"},
        {"/{a", "a { is not closed"},
        {"/a}", "a } has no {"},
        {"/{}", "a parameter has no name"},
        {"/{a b}", "a parameter name has letters, digits and _ only"},
        {"/{a}/{a}", "two parameters have the same name"},
        {"/{a}.json", "a parameter ends its segment: nothing can follow it"},
        {"/a//b", "it has an empty segment"},
        {"/../b", ". and .. are not allowed as segments"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char declaration[128], wanted[256];
        snprintf(declaration, sizeof declaration, "path = \"%s\"", table[i].path);
        snprintf(wanted, sizeof wanted, "route: the path \"%s\" is not allowed: %s", table[i].path,
                 table[i].why);
        refuses_route(declaration, wanted);
    }
}

static void names_cache_keys_that_would_mix_responses(void) {
    refuses_route("path = '/{id}', cache = { key = 'x:{bid}:{id}' }",
                  "cache: no parameter of the path \"bid\": did you mean \"id\"?");
    refuses_route("path = '/{id}', cache = { key = 'x:{id' }",
                  "cache: `key` is \"x:{id\": a { is not closed");
    refuses_route("path = '/{id}', cache = { key = 'x' }",
                  "cache: `key` lacks {id} of the path /{id}: different requests would share a "
                  "response");
    CHECK_HAS(error_with("routes/r.lua", "return { path = '/{id}', aliases = { '/a/{other}' },\n"
                                         "cache = { key = 'x:{id}' }, handle = function() end }"),
              "routes/r.lua:2: cache: no parameter of the path \"id\": there is other");
    CHECK_HAS(err.text, "routes/r.lua:2: cache: `key` lacks {other} of the path /a/{other}");
    refuses_route("method = 'POST', path = '/', cache = { key = 'x' }",
                  "cache: responses of POST cannot be cached, only those of GET");
    refuses_route("path = '/', cache = 'x'", "route: `cache` takes a table, not a string: { key = "
                                             "\"order:{order_id}\" }");
    refuses_route("path = '/', cache = true",
                  "route: `cache` takes a table, not a boolean: { key = "
                  "\"order:{order_id}\" }");
    refuses_route("path = '/', cache = {}", "cache: `key` is missing: a text with the path's "
                                            "parameters, \"order:{order_id}\"");
}

static void names_live_paths_that_tell_nothing(void) {
    refuses_route("path = '/{id}', live = true",
                  "route: `live` needs `cache`: the tags of its answers say when they change");
    refuses_route("path = '/{id}', cache = { key = 'x:{id}' }, live = 5",
                  "route: `live` takes a boolean or string, not a number: true, or the path of the "
                  "stream, \"/orders/{order_id}/events\"");
    refuses_route("path = '/{id}', cache = { key = 'x:{id}' }, live = '/{di}/events'",
                  "route: no parameter of the path \"di\": did you mean \"id\"?");
    refuses_route("path = '/{id}', cache = { key = 'x:{id}' }, live = '/events'",
                  "route: the path \"/events\" lacks {id} of the route's path");
    refuses_route("path = '/{id}', cache = { key = 'x:{id}' }, live = 'events'",
                  "route: the path \"events\" is not allowed: it must begin with a slash");
    refuses_route("path = '/{id}', cache = { key = 'x:{id}' }, live = '/{id}'",
                  "route: the path of `live` /{id} is never reached: routes/r answers the same "
                  "requests");
}

static void names_vocabularies_without_effect(void) {
    static const char words[] = "words: vocabulary \"x\" maps words to words, 256 at most, without "
                                "quotes and backslashes";
    refuses_route("path = '/', words = { vocabularies = {} }",
                  "words: `at` is missing: their place in a body, \"orders.status\"");
    refuses_route("path = '/', words = { at = 'a..b', vocabularies = {} }",
                  "words: `at` is \"a..b\": names separated by dots");
    refuses_route("path = '/', words = { at = 'a', vocabularies = { x = 'y' } }",
                  "words: `vocabularies` maps names to tables of words, 16 at most");
    refuses_route("path = '/', words = { at = 'a', vocabularies = {"
                  " x = setmetatable({ a = 'b' }, {}) } }",
                  "words: x: a declaration is a plain table: remove its metatable");
    refuses_route("path = '/', words = { at = 'a', vocabularies = { x = { w = 7 } } }", words);
    refuses_route("path = '/', words = { at = 'a', vocabularies = { x = { w = 'a\"b' } } }", words);
}

static void names_misspelt_words_of_a_vocabulary(void) {
    refuses_route("path = '/', words = { at = 'a', known = { 'failed', 'ready' }, vocabularies = "
                  "{ x = { faild = 'bad' } } }",
                  "words: vocabulary \"x\" replaces \"faild\", which is not in `known`: "
                  "did you mean \"failed\"?");
    refuses_route("path = '/', words = { at = 'a', known = { 'failed', x = 'ready' }, "
                  "vocabularies = { x = { failed = 'f' } } }",
                  "words: `known` takes a list of strings: the table has a gap or another key");
    refuses_route(
        "path = '/', words = { at = 'a', known = 7, vocabularies = {} }",
        "words: `known` takes a list, not a number: the words that a body may have there, "
        "{ \"pending\", \"failed\" }");
}

/* The settings name a vocabulary for a caller: it must be one of each route that has any. */
static void names_vocabularies_that_a_route_does_not_declare(void) {
    static const char route[] = "return { path = '/', words = { at = 'a', vocabularies = { internal"
                                " = { b = 'c' } } }, handle = function() end }";
    static const char slip[] = "return { path = '/b', words = { at = 'a', vocabularies = { intrnal"
                               " = { b = 'c' } } }, handle = function() end }";
    char *callers[] = {"gateway"}, *wrong[] = {"intenal"}, *right[] = {"internal"};
    make_folders();
    write_file("view.lua", good_view);
    write_file("handlers/h.lua", good_handler);
    write_file("routes/r.lua", route);
    struct config config = {.refs = 1,
                            .scripts = {.root = folder, .sql = folder, .memory_limit_mb = 64},
                            .http.vocabularies = {callers, wrong, 1}};
    CHECK(script_generation_load_service(&config, 1, &err) == NULL);
    CHECK_HAS(err.text, "default: http.vocabularies: gateway reads \"intenal\", which ");
    CHECK_HAS(err.text, "/routes/r.lua lacks: ");
    CHECK_HAS(err.text, "did you mean \"internal\"?");
    config.http.vocabularies.values = right;
    struct script_generation *generation = script_generation_load_service(&config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    script_generation_unref(generation);
    write_file("routes/s.lua", slip);
    CHECK(script_generation_load_service(&config, 1, &err) == NULL);
    CHECK_HAS(err.text, "/routes/s.lua lacks: did you mean \"intrnal\"?");
    remove_file("routes/s.lua");
}

static void names_wrong_values_of_a_route(void) {
    refuses_route("path = '/', auth = 'no'", "route: `auth` takes a boolean, not a string");
    refuses_route("path = '/', method = 'get'",
                  "route: no method \"get\": there are GET, POST, PUT, PATCH, DELETE");
    refuses_route("path = 7", "route: `path` takes a string, not a number: the URL's path, "
                              "\"/orders/{order_id}\"");
    refuses_route("path = '/', aliases = { x = '/a' }", "route: `aliases` takes a list of paths");
    refuses_route("path = '/', endpoint = ''", "route: `endpoint` is empty");
    refuses_route("path = '/a\\0b'", "route: `path` has a NUL byte in it");
}

static void names_wrong_parts_of_a_request(void) {
    refuses_route("path = '/', query = { limit = { type = 'json' } }",
                  "field limit: the type json cannot be sent as text: use string, integer, bigint, "
                  "number, boolean, timestamp, date or uuid");
    refuses_route("path = '/', query = { a = { 'x y' } }",
                  "field a: \"x y\" is not allowed as the name of a parameter: use letters, digits "
                  "and -_~ only");
    refuses_route("path = '/', query = { b = 'X', a = { 'x', 'y' } }",
                  "field a: \"x\" is also declared by the field b");
    refuses_route("path = '/', headers = { key = 'x-key' }",
                  "route: the header x-key is the program's: a route does not get it");
    refuses_route("path = '/', headers = { a = 'content-length' }",
                  "route: the header content-length is the program's: a route does not get it");
}

static void names_wrong_rate_limits(void) {
    refuses_route("path = '/', rate_limit = { per_s = 1 }",
                  "rate_limit: `requests` is missing: a whole number");
    refuses_route("path = '/', rate_limit = { requests = 0 }",
                  "rate_limit: `requests` is a whole number from 1 to 100000");
    refuses_route("path = '/', rate_limit = { requests = 1, per_s = 86401 }",
                  "rate_limit: `per_s` is a whole number from 1 to 86400");
    refuses_route("path = '/', rate_limit = { requests = 1, burst = 0.5 }",
                  "rate_limit: `burst` is a whole number from 1 to 100000");
}

static void names_what_a_stream_cannot_have(void) {
    refuses_route("path = '/{id}', stream = true, cache = { key = 'k:{id}' }",
                  "route: a response that is streamed is neither cached nor translated: remove "
                  "`stream` or `cache`");
    refuses_route("path = '/', stream = true, words = { at = 'a', vocabularies = {} }",
                  "route: a response that is streamed is neither cached nor translated: remove "
                  "`stream` or `words`");
    refuses_route("path = '/', stream = 1", "route: `stream` takes a boolean, not a number");
}

static void names_wrong_bodies(void) {
    refuses_route("path = '/', body = {}", "route: a GET has no body: the method of a route with "
                                           "`body` is POST, PUT, PATCH or DELETE");
    refuses_route("path = '/', method = 'POST', body = { max_bytes = 0 }",
                  "body: `max_bytes` is a whole number from 1 to 16777216");
    refuses_route("path = '/', method = 'POST', body = { content_type = 'text' }",
                  "body: `content_type` is a media type without parameters, such as \"text/csv\"");
    refuses_route("path = '/', method = 'POST', body = { fields = {}, content_type = 'text/csv' }",
                  "body: `fields` belong to application/json: remove one of them");
    refuses_route("path = '/', method = 'POST', body = { fields = { a = { 'a', type = 'x' } } }",
                  "field a: no type \"x\": there are string, integer, bigint, number, boolean, "
                  "timestamp, date, uuid, json, object, strings, list");
}

static void names_routes_that_hide_each_other(void) {
    make_folders();
    write_file("routes/b.lua",
               "return {\n path = '/b/c', aliases = {\n'/{any}/c' }, handle = function() end }");
    refuses("routes/r.lua", "return {\n path = '/b/c', handle = function() end }",
            "routes/r.lua:2: route: GET /b/c is also declared by routes/b");
    refuses(
        "routes/r.lua", "return {\n path = '/x/c', handle = function() end }",
        "routes/r.lua:2: route: GET /x/c is never reached: a path of routes/b, whose name sorts "
        "first, matches the same requests");
    CHECK_TEXT(error_with("routes/r.lua", "return { path = '/{a}/{b}', handle = function() end }"),
               "");
    write_file("routes/b.lua",
               "return { path = '/b', cache = { key = 'k' }, handle = function() end }");
    refuses("routes/r.lua",
            "return { path = '/r', cache = {\n key = 'k' }, handle = function() end }",
            "routes/r.lua:2: route: cache.key \"k\" is also that of routes/b: each would replace "
            "the cached responses of the other");
    remove_file("routes/b.lua");
}

static const struct test_case cases[] = {
    {"names what a rule does not take", names_what_a_rule_does_not_take},
    {"names what a retention does not take", names_what_a_retention_does_not_take},
    {"accepts good declarations", accepts_good_declarations},
    {"names a wrong key of a field", names_a_wrong_key_of_a_field},
    {"names a wrong type", names_a_wrong_type},
    {"names a wrong value", names_a_wrong_value},
    {"names a wrong key of a handler", names_a_wrong_key_of_a_handler},
    {"names a wrong key of a route", names_a_wrong_key_of_a_route},
    {"names a wrong word of the view", names_a_wrong_word_of_the_view},
    {"names the line of a wrong word", names_the_line_of_a_wrong_word},
    {"names file and line of a syntax error", names_file_and_line_of_a_syntax_error},
    {"names bounds that no value meets", names_bounds_that_no_value_meets},
    {"names lists with a gap and words with two meanings",
     names_lists_with_a_gap_and_words_with_two_meanings},
    {"names duplicate declarations", names_duplicate_declarations},
    {"names invalid topics and types", names_invalid_topics_and_types},
    {"names impossible paths", names_impossible_paths},
    {"names cache keys that would mix responses", names_cache_keys_that_would_mix_responses},
    {"names live paths that tell nothing", names_live_paths_that_tell_nothing},
    {"names vocabularies without effect", names_vocabularies_without_effect},
    {"names misspelt words of a vocabulary", names_misspelt_words_of_a_vocabulary},
    {"names vocabularies that a route does not declare",
     names_vocabularies_that_a_route_does_not_declare},
    {"names wrong values of a route", names_wrong_values_of_a_route},
    {"names wrong parts of a request", names_wrong_parts_of_a_request},
    {"names wrong rate limits", names_wrong_rate_limits},
    {"names wrong bodies", names_wrong_bodies},
    {"names what a stream cannot have", names_what_a_stream_cannot_have},
    {"names routes that hide each other", names_routes_that_hide_each_other},
};

TEST_MAIN(cases)
