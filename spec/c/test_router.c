/* router: finds the route of a path, parses query strings. */
#include <stdlib.h>

#include "http/router.h"
#include "test.h"

static const char *const status_paths[] = {"/internal/v1/batches/{batch_id}/status",
                                           "/batches/{batch_id}/status"};
static const char *const user_paths[] = {"/internal/v1/batches/user/{user_id}"};
static const char *const admin_paths[] = {"/admin/{what}"};
static const struct script_route routes[] = {
    {.method = "GET", .paths = status_paths, .path_count = 2},
    {.method = "GET", .paths = user_paths, .path_count = 1},
    {.method = "POST", .paths = admin_paths, .path_count = 1},
    {.method = "GET", .paths = admin_paths, .path_count = 1},
};
static struct router_match match;
static struct router_pairs pairs;

static enum router_result find(const char *method, const char *path) {
    struct request request = {
        .method_name = slice_of(method),
        .method = strcmp(method, "HEAD") == 0 ? METHOD_HEAD : METHOD_OTHER,
        .path = slice_of(path),
    };
    return router_find(routes, sizeof routes / sizeof *routes, &request, &match);
}

static void check_parameter(const char *path, const char *value) {
    CHECK_INT(find("GET", path), ROUTER_FOUND);
    CHECK_INT(match.params.count, 1);
    CHECK(slice_equal(match.params.items[0].value, slice_of(value)));
}

static void finds_routes_and_aliases(void) {
    check_parameter("/internal/v1/batches/b-1/status", "b-1");
    CHECK_INT(match.route, 0);
    CHECK(slice_equal(match.params.items[0].name, slice_of("batch_id")));
    check_parameter("/batches/b-1/status", "b-1");
    CHECK_INT(match.route, 0);
    check_parameter("/internal/v1/batches/user/teacher", "teacher");
    CHECK_INT(match.route, 1);
}

static void head_finds_what_get_finds(void) {
    CHECK_INT(find("HEAD", "/batches/b/status"), ROUTER_FOUND);
}

static void decodes_parameters(void) {
    check_parameter("/batches/a%2Fb/status", "a/b");
    check_parameter("/batches/%C3%A5%20+/status", "å +");
    check_parameter("/batches/../status", "..");
    check_parameter("/batches/'%3B--/status", "';--");
}

static void takes_ids_as_long_as_a_target(void) {
    char path[REQUEST_MAX_TARGET_BYTES + 1];
    size_t id_len = sizeof path - 1 - strlen("/batches//status");
    strcpy(path, "/batches/");
    memset(path + strlen("/batches/"), 'x', id_len);
    strcpy(path + strlen("/batches/") + id_len, "/status");
    CHECK_INT(find("GET", path), ROUTER_FOUND);
    CHECK_INT(match.params.items[0].value.len, id_len);
}

static void refuses_bad_parameters(void) {
    static const char *const bad[] = {"%00", "%0d%0a", "%7F",       "%",   "%4",  "%zz",
                                      "a%2", "%C0%AF", "%ED%A0%80", "%FF", "\xC3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char path[64];
        snprintf(path, sizeof path, "/batches/%s/status", bad[i]);
        CHECK_INT(find("GET", path), ROUTER_BAD_PARAMETER);
    }
}

static void knows_no_other_paths(void) {
    static const char *const others[] = {"/",
                                         "",
                                         "*",
                                         "/batches//status",
                                         "/batches/b/status/",
                                         "/batches/a/b/status",
                                         "//batches/b/status",
                                         "/Batches/b/status",
                                         "/batches/b/statu",
                                         "/batches/b%2Fstatus",
                                         "/internal/v1/batches/user/"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        CHECK_INT(find("GET", others[i]), ROUTER_NOT_FOUND);
    }
}

static void lists_the_methods_of_a_path(void) {
    CHECK_INT(find("DELETE", "/batches/b/status"), ROUTER_WRONG_METHOD);
    CHECK_TEXT(match.allow, "GET, HEAD");
    CHECK_INT(find("PUT", "/admin/x"), ROUTER_WRONG_METHOD);
    CHECK_TEXT(match.allow, "POST, GET, HEAD");
    CHECK_INT(find("POST", "/admin/x"), ROUTER_FOUND);
    CHECK_INT(match.route, 2);
    CHECK_INT(find("get", "/admin/x"), ROUTER_WRONG_METHOD);
}

static void reads_queries(void) {
    CHECK(!router_parse_query(slice_of("limit=5&status=a+b%26c&flag&empty="), &pairs));
    CHECK_INT(pairs.count, 4);
    CHECK(slice_equal(pairs.items[0].value, slice_of("5")));
    CHECK(slice_equal(pairs.items[1].value, slice_of("a b&c")));
    CHECK(slice_equal(pairs.items[2].name, slice_of("flag")));
    CHECK_INT(pairs.items[2].value.len, 0);
    CHECK_INT(pairs.items[3].value.len, 0);
}

static void an_absent_or_empty_query_has_no_pairs(void) {
    CHECK(!router_parse_query((struct slice){0}, &pairs));
    CHECK_INT(pairs.count, 0);
    CHECK(!router_parse_query(slice_of("&&"), &pairs));
    CHECK_INT(pairs.count, 0);
}

static void says_what_is_wrong_with_a_query(void) {
    CHECK_TEXT(router_parse_query(slice_of("a=1&a=2"), &pairs), "A query parameter is repeated");
    CHECK_TEXT(router_parse_query(slice_of("a=1&%61=2"), &pairs), "A query parameter is repeated");
    CHECK_TEXT(router_parse_query(slice_of("a=%zz"), &pairs), "Invalid query string");
    CHECK_TEXT(router_parse_query(slice_of("a=%00"), &pairs), "Invalid query string");
    CHECK_TEXT(router_parse_query(slice_of("%FF=1"), &pairs), "Invalid query string");
    CHECK_TEXT(router_parse_query(slice_of("a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q"), &pairs),
               "Too many query parameters");
}

static const struct test_case cases[] = {
    {"finds routes and their aliases", finds_routes_and_aliases},
    {"HEAD finds what GET finds", head_finds_what_get_finds},
    {"decodes path parameters, slashes included", decodes_parameters},
    {"accepts an id as long as a request target", takes_ids_as_long_as_a_target},
    {"refuses control characters, bad escapes and bad UTF-8", refuses_bad_parameters},
    {"finds no route for a similar path", knows_no_other_paths},
    {"lists the methods of a path", lists_the_methods_of_a_path},
    {"reads query strings", reads_queries},
    {"an absent or empty query has no pairs", an_absent_or_empty_query_has_no_pairs},
    {"names the problem of a query string", says_what_is_wrong_with_a_query},
};

TEST_MAIN(cases)
