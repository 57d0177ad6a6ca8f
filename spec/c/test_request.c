/* Request heads and header values. */
#include "http/accept.h"
#include "http/request.h"
#include "http/etag.h"
#include "test.h"

static struct request request;
static struct refusal refusal;

static bool parse(const char *head) {
    refusal = (struct refusal){0};
    struct request_names names =
        request_names("X-Internal-API-Key", "X-Service-ID", "X-Correlation-ID");
    return request_parse(slice_of(head), &names, &request, &refusal);
}

static void check_refused(const char *head, int status) {
    CHECK(!parse(head));
    CHECK_INT(refusal.status, status);
}

/* ---- heads -------------------------------------------------------------------------------- */

static void reads_a_request(void) {
    CHECK(parse("GET /a/b?c=d HTTP/1.1\r\nHost: h\r\nx-service-ID:\t me \r\n"
                "X-Internal-API-Key: k\r\nX-Correlation-ID: \r\n\r\n"));
    CHECK_INT(request.method, METHOD_GET);
    CHECK(slice_equal(request.path, slice_of("/a/b")));
    CHECK(slice_equal(request.query, slice_of("c=d")));
    CHECK(slice_equal(request.fields[FIELD_CALLER], slice_of("me")));
    CHECK(slice_equal(request.fields[FIELD_API_KEY], slice_of("k")));
    CHECK(request.fields[FIELD_CORRELATION_ID].data && !request.fields[FIELD_CORRELATION_ID].len);
    CHECK(!request.fields[FIELD_IF_NONE_MATCH].data);
    CHECK(request.keep_alive && !request.has_body);
}

static void knows_methods_by_exact_name(void) {
    CHECK(parse("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"));
    CHECK_INT(request.method, METHOD_HEAD);
    CHECK(parse("get / HTTP/1.1\r\nHost: h\r\n\r\n"));
    CHECK_INT(request.method, METHOD_OTHER);
}

static void accepts_absolute_and_asterisk_form(void) {
    CHECK(parse("GET http://host:1/p?q HTTP/1.1\r\nHost: h\r\n\r\n"));
    CHECK(slice_equal(request.path, slice_of("/p")) && slice_equal(request.query, slice_of("q")));
    CHECK(parse("GET HTTP://host HTTP/1.1\r\nHost: h\r\n\r\n"));
    CHECK(slice_equal(request.path, slice_of("/")));
    CHECK(parse("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"));
    CHECK(slice_equal(request.path, slice_of("*")));
    check_refused("GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    check_refused("CONNECT host:443 HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    check_refused("options * HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    check_refused("GET a HTTP/1.1\r\nHost: h\r\n\r\n", 400);
}

static void refuses_an_absolute_form_without_a_valid_host(void) {
    static const char *const good[] = {"http://h/p", "HTTPS://h:443/p", "http://[::1]:80/p"};
    static const char *const bad[] = {"http:///p",      "http://",       "http://?p",
                                      "http://:80/p",   "http://a@h/p",  "http://h:x/p",
                                      "http://h:70000", "http://[::1/p", "http://h\\/p",
                                      "http:/p",        "https:///p"};
    char head[128];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", good[i]);
        CHECK(parse(head));
        CHECK_SLICE(request.path, "/p");
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", bad[i]);
        check_refused(head, 400);
    }
}

static void refuses_an_invalid_host(void) {
    static const char *const good[] = {"",        "h",     "H-1.example.", "1.2.3.4:80", "[::1]",
                                       "[::]:80", "a%20b", "!$&'()*+,;=",  "h:",         "_a~"};
    static const char *const bad[] = {
        "a b",      "a/b",      "u@h",      "h:80:80",   "h:-1",  "h:65536", "::1",  "[::1",
        "[]",       "[::1]x",   "[::1%lo]", "[1.2.3.4]", "a%2",   "a%g0",    "h?q",  "h#f",
        "http://h", "[v1.a:b]", ":80",      "\xC3\xA5",  "\"h\"", "<h>",     "h:8 0"};
    char head[128];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", good[i]);
        CHECK(parse(head));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", bad[i]);
        check_refused(head, 400);
        snprintf(head, sizeof head, "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", bad[i]);
        check_refused(head, 400);
    }
}

static void refuses_bad_request_lines(void) {
    static const char *const bad[] = {
        "",
        "GET",
        "GET /",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET / http/1.1",
        "G@T / HTTP/1.1",
        "GET / HTTP/1.10",
        "GET /a b HTTP/1.1",
        "GET /\t HTTP/1.1",
        "GET /\xC3\xA5 HTTP/1.1",
        "GET /\x7F HTTP/1.1",
        "GET /#x HTTP/1.1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char head[128];
        snprintf(head, sizeof head, "%s\r\nHost: h\r\n\r\n", bad[i]);
        check_refused(head, 400);
    }
    check_refused("GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505);
}

/* A head with each of these lines is refused with 400. */
static void check_lines_refused(const char *const *lines, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char head[256];
        snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n", lines[i]);
        check_refused(head, 400);
    }
}

static void refuses_bad_header_lines(void) {
    static const char *const bad[] = {
        "A : b",           " A: b",
        "A\r\n",           ": b",
        "A b: c",          "A: \x01",
        "A: b\x7F",        "A: b\rc",
        "Host: twice",     "X-Service-ID: a\r\nX-Service-ID: b",
        "A: b\r\n folded",
    };
    check_lines_refused(bad, sizeof bad / sizeof *bad);
}

static void refuses_what_a_proxy_may_frame_otherwise(void) {
    static const char *const bad[] = {
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Content-Length: 1, 1",
        "Content-Length: -1",
        "Content-Length: +1",
        "Content-Length:",
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: 0x3",
    };
    check_lines_refused(bad, sizeof bad / sizeof *bad);
}

static void refuses_codings_of_a_body(void) {
    check_refused("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n", 411);
    check_refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    check_refused("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501);
    check_refused("POST / HTTP/1.1\r\nHost: h\r\ntransfer-encoding:\r\n\r\n", 501);
}

static void reads_lengths_without_overflow(void) {
    static const struct {
        const char *text;
        uint64_t bytes;
    } table[] = {{"0", 0},
                 {"0010", 10},
                 {"18446744073709551609", 18446744073709551609U},
                 {"18446744073709551616", UINT64_MAX},
                 {"184467440737095516160", UINT64_MAX},
                 {"99999999999999999999999999", UINT64_MAX}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char head[128];
        snprintf(head, sizeof head, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %s\r\n\r\n",
                 table[i].text);
        CHECK(parse(head));
        CHECK(request.body_bytes == table[i].bytes);
    }
}

static void finds_headers_by_name(void) {
    struct slice value;
    CHECK(parse("GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nb:\r\na:  2 \r\n\r\n"));
    CHECK_INT(request_header(&request, "a", &value), 2);
    CHECK(slice_equal(value, slice_of("1")));
    CHECK_INT(request_header(&request, "B", &value), 1);
    CHECK(value.data && value.len == 0);
    CHECK_INT(request_header(&request, "c", &value), 0);
    CHECK(!value.data);
}

static void a_body_ends_the_connection(void) {
    CHECK(parse("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"));
    CHECK(request.has_body && !request.keep_alive && request.keep_alive_after_body);
    CHECK(parse("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 000\r\n\r\n"));
    CHECK(!request.has_body && request.keep_alive);
}

static void reads_quality_values(void) {
    static const struct {
        const char *list;
        int quality;
    } table[] = {{"gzip", 1000},
                 {"br, GZIP;q=0.5", 500},
                 {"gzip ; q=0.125 , br", 125},
                 {"gzip;q=0", 0},
                 {"gzip;q=0.000", 0},
                 {"gzip;q=1.000", 1000},
                 {"gzip;q=1.001", -1},
                 {"gzip;q=2", -1},
                 {"gzip;q=", -1},
                 {"gzip;q=.5", -1},
                 {"gzip;q=0.1234", -1},
                 {"gzip;x=y;Q=0.3", 300},
                 {"xgzip", -1},
                 {"", -1},
                 {",,", -1},
                 {"*", -1}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        CHECK_INT(accept_quality(slice_of(table[i].list), "gzip"), table[i].quality);
    }
}

static void requires_one_host(void) {
    check_refused("GET / HTTP/1.1\r\n\r\n", 400);
    CHECK(parse("GET / HTTP/1.0\r\n\r\n"));
}

static void keeps_connections_as_asked(void) {
    CHECK(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n"));
    CHECK(!request.keep_alive);
    CHECK(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: a, close , b\r\n\r\n"));
    CHECK(!request.keep_alive);
    CHECK(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n"));
    CHECK(request.keep_alive);
    CHECK(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    CHECK(request.keep_alive);
    CHECK(parse("GET / HTTP/1.0\r\n\r\n"));
    CHECK(!request.keep_alive);
    CHECK(parse("GET / HTTP/1.0\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n"));
    CHECK(!request.keep_alive);
}

static void meets_one_expectation_only(void) {
    CHECK(parse("GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\n\r\n"));
    check_refused("GET / HTTP/1.1\r\nHost: h\r\nExpect: a miracle\r\n\r\n", 417);
}

static void bounds_the_number_of_fields(void) {
    char head[4096] = "GET / HTTP/1.1\r\nHost: h\r\n";
    for (int i = 0; i < REQUEST_MAX_FIELDS - 1; i++) {
        strcat(head, "A: b\r\n");
    }
    size_t len = strlen(head);
    strcat(head, "\r\n");
    CHECK(parse(head));
    strcpy(head + len, "A: b\r\n\r\n");
    check_refused(head, 431);
}

static void bounds_the_target(void) {
    static char head[REQUEST_MAX_TARGET_BYTES + 64];
    strcpy(head, "GET /");
    memset(head + 5, 'a', REQUEST_MAX_TARGET_BYTES - 1);
    strcpy(head + 4 + REQUEST_MAX_TARGET_BYTES, " HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(parse(head));
    strcpy(head + 4 + REQUEST_MAX_TARGET_BYTES, "a HTTP/1.1\r\nHost: h\r\n\r\n");
    check_refused(head, 414);
}

/* ---- where a head ends -------------------------------------------------------------------- */

static void finds_the_end_however_bytes_come(void) {
    static const char bytes[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET";
    size_t head_len = sizeof bytes - 1 - 3, from = 0, found = 0;
    bool bad = false;
    for (size_t len = 1; len < sizeof bytes && !found; len++) {
        found = request_scan((struct slice){bytes, len}, from, &bad);
        from = len;
        CHECK_INT(found, len == head_len ? head_len : 0);
    }
    CHECK(!bad);
    CHECK_INT(request_scan(slice_of(bytes), 0, &bad), head_len);
}

static void detects_a_bare_line_feed_at_once(void) {
    bool bad = false;
    CHECK_INT(request_scan(slice_of("GET / HTTP/1.1\nHo"), 0, &bad), 15);
    CHECK(bad);
    CHECK_INT(request_scan(slice_of("\n"), 0, &bad), 1);
    CHECK(bad);
}

/* ---- values ------------------------------------------------------------------------------- */

static void finds_entity_tags_in_lists(void) {
    static const char *const with[] = {"\"a\"",         "W/\"a\"",          "\"b\", \"a\"",
                                       "\"b\",W/\"a\"", " , \"a\" , \"b\"", "*",
                                       " * ",           "\"\", \"a\"",      "\"x,y\", \"a\""};
    static const char *const without[] = {
        "",         "a",           "\"b\"", "\"ab\"", "\"a",         "w/\"a\"",   "* \"a\"",
        "b, \"a\"", "\"b\" \"a\"", "\"A\"", "W/",     "\"b\";\"a\"", "\"x\"a\"\""};
    for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
        CHECK(etag_listed(slice_of(with[i]), "\"a\""));
    }
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        CHECK(!etag_listed(slice_of(without[i]), "\"a\""));
    }
}

static void a_repeated_if_none_match_matches_nothing(void) {
    CHECK(parse("GET / HTTP/1.1\r\nHost: h\r\nIf-None-Match: \"a\"\r\nIf-None-Match: \"b\"\r\n"
                "\r\n"));
    CHECK(!etag_listed(request.fields[FIELD_IF_NONE_MATCH], "\"a\""));
}

static void ignores_a_repeated_field_that_may_be_absent(void) {
    static const struct {
        const char *name;
        size_t field;
    } table[] = {{"Traceparent", FIELD_TRACEPARENT},
                 {"Accept-Encoding", FIELD_ACCEPT_ENCODING},
                 {"Cookie", FIELD_COOKIE},
                 {"Origin", FIELD_ORIGIN},
                 {"Last-Event-ID", FIELD_LAST_EVENT_ID},
                 {"Sec-Fetch-Site", FIELD_FETCH_SITE}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char head[128];
        snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: h\r\n%s: a\r\n%s: b\r\n\r\n",
                 table[i].name, table[i].name);
        CHECK(parse(head));
        CHECK_SLICE(request.fields[table[i].field], "");
    }
}

static void accepts_printable_correlation_ids(void) {
    char longest[CORRELATION_MAX_BYTES + 2];
    memset(longest, 'x', sizeof longest);
    CHECK(correlation_id_acceptable(slice_of("a b~!")));
    CHECK(correlation_id_acceptable((struct slice){longest, CORRELATION_MAX_BYTES}));
    CHECK(!correlation_id_acceptable((struct slice){longest, CORRELATION_MAX_BYTES + 1}));
    CHECK(!correlation_id_acceptable(slice_of("")));
    CHECK(!correlation_id_acceptable(slice_of("a\tb")));
    CHECK(!correlation_id_acceptable(slice_of("\xC3\xA5")));
}

static const struct test_case cases[] = {
    {"reads a request", reads_a_request},
    {"matches methods by exact name", knows_methods_by_exact_name},
    {"accepts absolute and asterisk form", accepts_absolute_and_asterisk_form},
    {"refuses an absolute form without a valid host",
     refuses_an_absolute_form_without_a_valid_host},
    {"refuses an invalid Host", refuses_an_invalid_host},
    {"refuses bad request lines", refuses_bad_request_lines},
    {"refuses bad header lines", refuses_bad_header_lines},
    {"refuses what a proxy may frame in another way", refuses_what_a_proxy_may_frame_otherwise},
    {"refuses codings of a body", refuses_codings_of_a_body},
    {"reads lengths without overflow", reads_lengths_without_overflow},
    {"finds headers by name", finds_headers_by_name},
    {"reads quality values", reads_quality_values},
    {"a body ends the connection", a_body_ends_the_connection},
    {"requires one Host", requires_one_host},
    {"keeps connections as asked", keeps_connections_as_asked},
    {"meets one expectation only", meets_one_expectation_only},
    {"bounds the number of header fields", bounds_the_number_of_fields},
    {"bounds the target", bounds_the_target},
    {"finds the end of a head however its bytes come", finds_the_end_however_bytes_come},
    {"detects a bare line feed at once", detects_a_bare_line_feed_at_once},
    {"finds entity tags in lists", finds_entity_tags_in_lists},
    {"a repeated If-None-Match matches nothing", a_repeated_if_none_match_matches_nothing},
    {"ignores a repeated field that may be absent", ignores_a_repeated_field_that_may_be_absent},
    {"accepts printable correlation ids", accepts_printable_correlation_ids},
};

TEST_MAIN(cases)
