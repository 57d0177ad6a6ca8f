/* Declarations of `cache`: what responses vary with, and how long they are served. */
#include "declarations.h"

static void refuses_route(const char *declaration, const char *wanted) {
    char text[1024];
    snprintf(text, sizeof text, "return {\n path = '/{id}', %s,\n handle = function() end }",
             declaration);
    CHECK_HAS(error_with("routes/r.lua", text), wanted);
}

/* The route of a good declaration, until the next call. */
static const struct script_route *takes(const char *declaration) {
    static struct config config = {
        .refs = 1, .http.api_key_header = "X-Key", .http.caller_header = "X-Service-ID"};
    static struct script_generation *generation;
    char text[1024];
    size_t count = 0;
    snprintf(text, sizeof text, "return {\n path = '/{id}', %s,\n handle = function() end }",
             declaration);
    error_with("routes/r.lua", text);
    config.scripts.root = config.scripts.sql = folder;
    config.scripts.memory_limit_mb = 16;
    config.postgres.url = config.redis.url = "";
    config.refs++;
    script_generation_unref(generation);
    err_clear(&err);
    generation = script_generation_load(&config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    return generation ? script_generation_routes(generation, &count) : NULL;
}

static void what_is_declared_and_not_varied_is_named(void) {
    refuses_route(
        "cache = { key = 'k:{id}' }, query = { limit = {} }",
        "routes/r.lua:2: route: `query` declares limit, which `cache.vary.query` lacks: requests "
        "that differ in it would share a response; name it there");
    refuses_route("cache = { key = 'k:{id}', vary = { query = 'limit' } },\n"
                  "query = { limit = {}, status = {} }",
                  "route: `query` declares status, which `cache.vary.query` lacks");
    refuses_route("cache = { key = 'k:{id}' }, headers = { language = 'Accept-Language' }",
                  "route: `headers` declares language, which `cache.vary.headers` lacks");
}

static void what_is_varied_and_not_declared_is_named_with_the_nearest(void) {
    refuses_route(
        "cache = { key = 'k:{id}',\n vary = { query = { 'limit', 'lmit' } } },\n"
        "query = { limit = {} }",
        "routes/r.lua:3: cache.vary.query: no declared field \"lmit\": did you mean \"limit\"?");
    refuses_route("cache = { key = 'k:{id}', vary = { headers = 'language' } }",
                  "cache.vary.headers: \"language\" is not declared: the route has no `headers`");
    refuses_route("cache = { key = 'k:{id}', vary = { qery = 'limit' } }, query = { limit = {} }",
                  "cache.vary: no key \"qery\": did you mean \"query\"?");
    refuses_route("cache = { key = 'k:{id}', vary = { query = { 5 } } }, query = { limit = {} }",
                  "cache.vary: `query` takes strings, not a number");
    refuses_route("cache = { key = 'k:{id}', vary = { query = { 'limit', x = 'status' } } },\n"
                  "query = { limit = {}, status = {} }",
                  "cache.vary: `query` takes a list of strings: the table has a gap or another "
                  "key");
}

static void ages_are_whole_seconds(void) {
    static const char *const names[] = {"ttl_s", "stale_while_revalidate_s", "stale_if_error_s",
                                        "max_age_s"};
    static const char *const values[] = {"0", "-1", "0.5", "604801", "1/0", "0/0"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            char declaration[256], wanted[256];
            snprintf(declaration, sizeof declaration, "cache = { key = 'k:{id}', %s = %s }",
                     names[n], values[v]);
            snprintf(wanted, sizeof wanted,
                     "cache: `%s` is a whole number of seconds from 1 to 604800", names[n]);
            refuses_route(declaration, wanted);
        }
    }
    refuses_route(
        "cache = { key = 'k:{id}', stale_after_commit = true }",
        "cache: `stale_after_commit` needs `stale_while_revalidate_s` or `stale_if_error_s`");
    refuses_route("cache = { key = 'k:{id}', stale_if_eror_s = 5 }",
                  "cache: no key \"stale_if_eror_s\": did you mean \"stale_if_error_s\"?");
}

static void values_of_a_key_are_separated(void) {
    refuses_route(
        "aliases = { '/a/{id}' }, cache = { key = 'k:{id}{id}' }",
        "cache: `key` is \"k:{id}{id}\": two parameters need a character between them that ends "
        "a value, such as :");
    refuses_route("cache = { key = 'k:{id}-{id}' }",
                  "two parameters need a character between them");
}

static void a_stream_keeps_its_own_parameter(void) {
    refuses_route(
        "cache = { key = 'k:{id}', vary = { query = 'answer' } },\n live = true,\n"
        "query = { answer = {} }",
        "routes/r.lua:4: route: the parameter answer is that of the stream of a live route: "
        "give it another name");
}

static void heads_follow_from_the_declaration(void) {
    const struct script_route *route =
        takes("cache = { key = 'k:{id}', ttl_s = 5, stale_while_revalidate_s = 6,\n"
              "stale_if_error_s = 7, stale_after_commit = true, max_age_s = 8,\n"
              "vary = { headers = { 'language' } } }, headers = { language = 'Accept-Language' }");
    CHECK_INT(route->cache.ttl_s, 5);
    CHECK_INT(route->cache.stale_while_revalidate_s, 6);
    CHECK_INT(route->cache.stale_if_error_s, 7);
    CHECK(route->cache.stale_after_commit);
    CHECK_TEXT(route->cache.control, "private, max-age=8");
    CHECK_TEXT(route->cache.vary, "Accept-Language, X-Service-ID");
    route = takes("auth = false, cache = { key = 'k:{id}', max_age_s = 8 }");
    CHECK_TEXT(route->cache.control, "public, max-age=8");
    CHECK(route->cache.vary == NULL);
    route = takes("auth = false, cache = { key = 'k:{id}', max_age_s = 8 },\n"
                  "words = { at = 'state', vocabularies = { gateway = { open = 'IS_OPEN' } } }");
    CHECK_TEXT(route->cache.vary, "X-Service-ID");
    route = takes("cache = { key = 'k:{id}' }, query = {}");
    CHECK(route->cache.control == NULL && route->cache.vary == NULL && route->cache.ttl_s == 0);
}

static const struct test_case cases[] = {
    {"what is declared and not varied is named", what_is_declared_and_not_varied_is_named},
    {"what is varied and not declared is named, with the nearest",
     what_is_varied_and_not_declared_is_named_with_the_nearest},
    {"ages are whole seconds", ages_are_whole_seconds},
    {"values of a key are separated", values_of_a_key_are_separated},
    {"a stream keeps its own parameter", a_stream_keeps_its_own_parameter},
    {"heads follow from the declaration", heads_follow_from_the_declaration},
};

TEST_MAIN(cases)
