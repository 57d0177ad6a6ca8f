/* Which endpoints are the program's own: figures leave them out. */
#include "http/endpoint.h"
#include "test.h"

static void names_are_compared_as_wholes(void) {
    static const char *const routes[] = {"metric", "metrics_daily", "admin_users", "server_list"};
    (void)endpoint_of_own("metrics");
    (void)endpoint_of_own("admin");
    (void)endpoint_of_own("server");
    CHECK(endpoint_is_own(slice_of("metrics")));
    CHECK(endpoint_is_own(slice_of("admin")));
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        CHECK(endpoint_of(routes[i]) != NULL);
        CHECK(!endpoint_is_own(slice_of(routes[i])));
    }
    CHECK(!endpoint_is_own(slice_of("")));
}

static const struct test_case cases[] = {
    {"names are compared as wholes", names_are_compared_as_wholes},
};

TEST_MAIN(cases)
