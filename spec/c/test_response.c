/* response: the heads of responses. */
#include "http/response.h"

#include "http/request.h"
#include "test.h"

static const char *head_of(const struct response *response) {
    static char text[RESPONSE_HEAD_BYTES + 1];
    char date[RESPONSE_DATE_BYTES];
    response_format_date(1782345678000000, date);
    text[response_format_head(response, "id", date, text)] = '\0';
    return text;
}

static void formats_the_head_of_a_response(void) {
    struct request plain = {0};
    struct response response = {.correlation_name = "X-Correlation-ID"};
    response_set(&response, &plain, cached_response_create(200, slice_of("{}")),
                 "application/json");
    const char *head = head_of(&response);
    CHECK(strncmp(head, "HTTP/1.1 200 OK\r\n", 17) == 0);
    CHECK(strstr(head, "\r\nContent-Length: 2\r\n"));
    CHECK(strstr(head, "\r\nETag: \""));
    CHECK(strstr(head, "\r\nX-Correlation-ID: id\r\n"));
    CHECK(strstr(head, "\r\nDate: Thu, 25 Jun 2026 00:01:18 GMT\r\n"));
    CHECK(!strstr(head, "Connection"));
    CHECK_TEXT(head + strlen(head) - 4, "\r\n\r\n");
    cached_response_unref(response.cached);
}

/* What the head says of caching, with the longest Vary of a route (manifest_cache.c). */
static void tells_clients_what_they_may_keep(void) {
    struct request plain = {0}, conditional = {.fields[FIELD_IF_NONE_MATCH] = slice_of("*")};
    const struct request *const requests[] = {&plain, &conditional};
    char vary[256] = "", want[320];
    memset(vary, 'v', sizeof vary - 1);
    snprintf(want, sizeof want, "\r\nVary: Accept-Encoding, %s\r\n", vary);
    for (size_t i = 0; i < 2; i++) {
        struct response response = {.varies = true};
        response_set(&response, requests[i], cached_response_create(200, slice_of("{}")),
                     "application/json");
        response_set_caching(&response, vary, "private, max-age=604800", 7999999);
        const char *head = head_of(&response);
        CHECK_HAS(head, "\r\nCache-Control: private, max-age=604800\r\nAge: 7\r\n");
        CHECK_HAS(head, want);
        CHECK_TEXT(head + strlen(head) - 4, "\r\n\r\n");
        response.varies = false;
        response_set_caching(&response, "Accept-Language", NULL, -1);
        head = head_of(&response);
        CHECK_HAS(head, "\r\nCache-Control: private, no-cache\r\n");
        CHECK_HAS(head, "\r\nVary: Accept-Language\r\n");
        CHECK(!strstr(head, "\r\nAge: "));
        cached_response_unref(response.cached);
    }
    struct response missing = {0};
    response_set(&missing, &plain, cached_response_create(404, slice_of("{}")), "application/json");
    response_set_caching(&missing, vary, "private, max-age=604800", 0);
    CHECK_HAS(head_of(&missing), "\r\nCache-Control: no-store\r\n");
    CHECK(!strstr(head_of(&missing), "Vary"));
    cached_response_unref(missing.cached);
}

static void sends_304_without_a_body(void) {
    struct request conditional = {.fields[FIELD_IF_NONE_MATCH] = slice_of("*")};
    struct response response = {0};
    response_set(&response, &conditional, cached_response_create(200, slice_of("{}")),
                 "application/json");
    CHECK_INT(response.status, 304);
    CHECK_INT(response_body(&response).len, 0);
    CHECK(strstr(head_of(&response), "\r\nETag: \""));
    CHECK(!strstr(head_of(&response), "\r\nContent-"));
    cached_response_unref(response.cached);
    response = (struct response){0};
    response_set(&response, &conditional, cached_response_create(404, slice_of("{}")),
                 "application/json");
    CHECK_INT(response.status, 404);
    cached_response_unref(response.cached);
}

static void tells_a_client_of_1_0_that_its_connection_stays(void) {
    struct response response = {.sends_keep_alive = true};
    response_set_error(&response, 404, "Not found");
    CHECK(strstr(head_of(&response), "\r\nConnection: keep-alive\r\n"));
    response.close = true;
    CHECK(strstr(head_of(&response), "\r\nConnection: close\r\n"));
    CHECK(!strstr(head_of(&response), "keep-alive"));
    cached_response_unref(response.cached);
}

static void responds_to_options_with_the_methods_and_no_body(void) {
    struct response response = {0};
    response_set_options(&response, "GET, HEAD, OPTIONS");
    CHECK(strncmp(head_of(&response), "HTTP/1.1 204 No Content\r\n", 25) == 0);
    CHECK(strstr(head_of(&response), "\r\nAllow: GET, HEAD, OPTIONS\r\n"));
    CHECK(!strstr(head_of(&response), "\r\nContent-"));
    CHECK_INT(response_body(&response).len, 0);
    cached_response_unref(response.cached);
}

static void errors_are_json(void) {
    struct response response = {.close = true};
    response_set_error(&response, 503, "a \"quoted\" reason");
    CHECK(
        slice_equal(response_body(&response), slice_of("{\"error\":\"a \\\"quoted\\\" reason\"}")));
    CHECK(strstr(head_of(&response), "\r\nRetry-After: 1\r\n"));
    CHECK(strstr(head_of(&response), "\r\nCache-Control: no-store\r\n"));
    CHECK(strstr(head_of(&response), "\r\nConnection: close\r\n"));
    cached_response_unref(response.cached);
}

static const struct test_case cases[] = {
    {"formats the head of a response", formats_the_head_of_a_response},
    {"tells clients what they may keep", tells_clients_what_they_may_keep},
    {"sends 304 without a body", sends_304_without_a_body},
    {"confirms keep-alive to a client of HTTP/1.0",
     tells_a_client_of_1_0_that_its_connection_stays},
    {"responds to OPTIONS with the methods and no body",
     responds_to_options_with_the_methods_and_no_body},
    {"errors are JSON", errors_are_json},
};

TEST_MAIN(cases)
