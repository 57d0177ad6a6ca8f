/* The texts under which responses are cached: requests that a route tells apart have different
 * ones. */
#include "script/script.h"
#include "test.h"

static const char *const limit_paths[] = {"limit"}, *const status_paths[] = {"status", "state"},
                         *const language_paths[] = {"Accept-Language"};
static const struct extract_field query_fields[] = {
    {.name = "limit", .paths = limit_paths, .path_count = 1},
    {.name = "status", .paths = status_paths, .path_count = 2},
};
static const struct extract_field header_fields[] = {
    {.name = "language", .paths = language_paths, .path_count = 1},
};
static const struct script_part query = {.fields = query_fields, .field_count = 2};
static const struct script_part headers = {.fields = header_fields, .field_count = 1};

static struct buffer text;

/* The key of a request; pairs are name, value, …, NULL. */
static size_t pairs_of(const char *const *words, struct script_pair *pairs) {
    size_t count = 0;
    for (; words && words[2 * count]; count++) {
        pairs[count] =
            (struct script_pair){slice_of(words[2 * count]), slice_of(words[2 * count + 1])};
    }
    return count;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char *key(const struct script_route *route, const char *const *params,
                       const char *const *asked, const char *const *fields) {
    struct script_pair path[4], parameters[4], lines[4];
    struct script_request request = {.params = path, .query = parameters, .headers = lines};
    request.param_count = pairs_of(params, path);
    request.query_count = pairs_of(asked, parameters);
    request.header_count = pairs_of(fields, lines);
    return script_cache_key(route, &request, &text) ? text.data : "too long";
}

static void one_value_alone_stands_as_it_is(void) {
    static const struct script_route route = {.cache_key = "api:batch:{id}"};
    CHECK_TEXT(key(&route, WORDS("id", "a b/c?d=e"), WORDS("limit", "5"), NULL),
               "api:batch:a b/c?d=e");
}

static void declared_parameters_and_headers_follow_in_their_order(void) {
    static const struct script_route route = {
        .cache_key = "u:{id}", .query = &query, .headers = &headers};
    const char *const *id = WORDS("id", "7");
    CHECK_TEXT(key(&route, id, NULL, NULL), "u:7");
    CHECK_TEXT(key(&route, id, WORDS("status", "done", "limit", "5"), NULL),
               "u:7?limit=5&status=done");
    CHECK_TEXT(key(&route, id, WORDS("limit", "5", "state", "done"), NULL),
               "u:7?limit=5&state=done");
    CHECK_TEXT(key(&route, id, NULL, WORDS("accept-language", "sv, en;q=0.5")),
               "u:7#Accept-Language=sv%2C%20en%3Bq%3D0.5");
    CHECK_TEXT(key(&route, id, WORDS("limit", ""), WORDS("Accept-Language", "")),
               "u:7?limit=#Accept-Language=");
    CHECK_TEXT(key(&route, id, WORDS("other", "1"), WORDS("Other", "1")), "u:7");
}

static void no_value_is_taken_for_another_part(void) {
    static const struct script_route route = {
        .cache_key = "u:{id}", .query = &query, .headers = &headers};
    CHECK_TEXT(key(&route, WORDS("id", "7?limit=5"), NULL, NULL), "u:7%3Flimit%3D5");
    CHECK_TEXT(
        key(&route, WORDS("id", "7"), WORDS("limit", "5&status=done#Accept-Language=sv"), NULL),
        "u:7?limit=5%26status%3Ddone%23Accept-Language%3Dsv");
    CHECK_TEXT(key(&route, WORDS("id", "7"), WORDS("limit", "\xC3\xA5%"), NULL),
               "u:7?limit=%C3%A5%25");
}

static void two_values_of_a_path_cannot_run_into_each_other(void) {
    static const struct script_route route = {.cache_key = "{a}:{b}"};
    CHECK_TEXT(key(&route, WORDS("a", "1:2", "b", "3"), NULL, NULL), "1%3A2:3");
    CHECK_TEXT(key(&route, WORDS("a", "1", "b", "2:3"), NULL, NULL), "1:2%3A3");
}

static void a_long_variant_is_no_key(void) {
    static const struct script_route route = {.cache_key = "u:{id}", .query = &query};
    char value[1100];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    CHECK_TEXT(key(&route, WORDS("id", "7"), WORDS("limit", value), NULL), "too long");
    value[900] = '\0';
    CHECK_TEXT(key(&route, WORDS("id", "7"), WORDS("status", "x"), NULL), "u:7?status=x");
    buffer_free(&text);
}

static const struct test_case cases[] = {
    {"one value alone stands as it is", one_value_alone_stands_as_it_is},
    {"declared parameters and headers follow, in their order",
     declared_parameters_and_headers_follow_in_their_order},
    {"no value is taken for another part", no_value_is_taken_for_another_part},
    {"two values of a path cannot run into each other",
     two_values_of_a_path_cannot_run_into_each_other},
    {"a long variant is no key", a_long_variant_is_no_key},
};

TEST_MAIN(cases)
