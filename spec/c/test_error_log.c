/* Error responses: each leaves a log line with its correlation id; many leave a few lines and a
 * count. Also reasons of refusals, and suspicious keys. */
#include "http/error_log.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log_limit.h"
#include "base/metrics.h"
#include "http/admission.h"
#include "http/endpoint.h"
#include "captured.h"
#include "sockets.h"

/* ---- the limit ----------------------------------------------------------------------------- */

static void a_window_has_its_first_lines_and_a_count_of_the_others(void) {
    struct log_limit limit = {0};
    int64_t begin_us = 5;
    for (int i = 0; i < LOG_LIMIT_LINES; i++) {
        CHECK(log_limit_admits(&limit, begin_us + i));
    }
    CHECK(!log_limit_admits(&limit, begin_us + 20));
    CHECK(!log_limit_admits(&limit, begin_us + LOG_LIMIT_WINDOW_US - 1));
    CHECK_INT(log_limit_take(&limit, begin_us + LOG_LIMIT_WINDOW_US - 1), 0);
    CHECK_INT(log_limit_take(&limit, begin_us + LOG_LIMIT_WINDOW_US), 2);
    CHECK_INT(log_limit_take(&limit, begin_us + LOG_LIMIT_WINDOW_US), 0);
    CHECK(log_limit_admits(&limit, begin_us + LOG_LIMIT_WINDOW_US));
}

static void the_first_line_of_each_mistake_is_written_above_the_limit(void) {
    struct log_limit limit = {0};
    struct slice known = slice_of("scripts/routes/a.lua: scripts/lib/b.lua:7: no batch 1\nstack");
    for (int i = 0; i < LOG_LIMIT_LINES; i++) {
        CHECK(log_limit_admits(&limit, 1));
    }
    CHECK(!log_limit_admits_mistake(&limit, 1, (struct slice){0}));
    CHECK(log_limit_admits_mistake(&limit, 1, known));
    CHECK(!log_limit_admits_mistake(&limit, 1, known));
    CHECK(!log_limit_admits_mistake(
        &limit, 1, slice_of("scripts/routes/a.lua: scripts/lib/b.lua:7: no batch 2")));
    CHECK(log_limit_admits_mistake(&limit, 1, slice_of("scripts/lib/b.lua:71: no batch 1")));
    CHECK(log_limit_admits_mistake(&limit, 1, slice_of("no place")));
    CHECK(!log_limit_admits_mistake(&limit, 1, slice_of("no place")));
    CHECK(log_limit_admits_mistake(&limit, 1 + LOG_LIMIT_WINDOW_US, known));
}

static void mistakes_above_the_limit_are_bounded(void) {
    struct log_limit limit = {0};
    int written = 0;
    char text[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "mistake %d", i);
        written += log_limit_admits_mistake(&limit, 1, slice_of(text));
    }
    CHECK_INT(written, LOG_LIMIT_MISTAKES + LOG_LIMIT_LINES);
}

/* ---- a service with a site of prepared responses --------------------------------------------- */

static struct {
    int status;          /* of a script's answer; 0: the site waits */
    const char *message; /* of the host's own error; NULL: a script's answer */
    const char *why;
    enum unavailable unavailable;
} told;
static pthread_mutex_t waiting = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool waits;

static const char *endpoint_name; /* each case has an endpoint, and so a limit, of its own */

static void answer(struct exchange *exchange) {
    if (told.message) {
        response_set_error(&exchange->response, told.status, told.message);
    } else {
        response_set_momentary(
            &exchange->response,
            cached_response_create(told.status ? told.status : 200, slice_of("{}")), "t/t");
    }
    exchange->response.unavailable = told.unavailable;
    exchange->why = told.why ? strdup(told.why) : NULL;
}

static void wait_and_answer(void *context, struct exchange *exchange) {
    (void)context;
    waits = true;
    pthread_mutex_lock(&waiting);
    pthread_mutex_unlock(&waiting);
    answer(exchange);
}

static void plan(void *context, struct exchange *exchange) {
    (void)context;
    exchange->endpoint = endpoint_of(endpoint_name);
    if (told.status == 0) {
        exchange->plan.carry_out = wait_and_answer;
    } else {
        answer(exchange);
    }
}

#define CORRELATION "X-Correlation-ID"
#define HEAD "GET /x HTTP/1.1\r\nHost: h\r\n" CORRELATION ": mine\r\n"

static struct exchanges *exchanges;
static struct exchange *exchange;

static void begin(void) {
    captured_begin();
    exchange = exchange_create();
    exchanges = exchanges_create(&(struct http_options){
        .site = {NULL, plan}, .request_timeout_ms = 1000, .headers = {NULL, NULL, CORRELATION}});
}

static void end(void) {
    exchanges_destroy(exchanges);
    exchange_destroy(exchange);
    captured_end();
}

static void ask(const char *endpoint, const char *head) {
    endpoint_name = endpoint;
    CHECK(exchange_plan(exchanges, exchange, slice_of(head)));
    cached_response_unref(exchange->response.cached);
}

static size_t count_of(const char *text, const char *part) {
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)); at++) {
        count++;
    }
    return count;
}

static void every_error_leaves_a_line_with_its_correlation_id(void) {
    static const int statuses[] = {400, 401, 408, 409, 413, 431, 500, 503, 504};
    char name[32], status[32];
    begin();
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        told.status = statuses[i];
        told.why = "because of x";
        snprintf(name, sizeof name, "each_%d", statuses[i]);
        snprintf(status, sizeof status, "\"status\":%d", statuses[i]);
        ask(name, HEAD "\r\n");
        const char *line = captured_take();
        CHECK_INT(count_of(line, "\n"), 1);
        CHECK_HAS(line, "\"correlation_id\":\"mine\"");
        CHECK_HAS(line, name);
        CHECK_HAS(line, status);
        CHECK_HAS(line, "\"error\":\"because of x\"");
        CHECK_HAS(line, statuses[i] < 500 ? "request refused" : "request failed");
    }
    end();
}

static void plan_slowly(void *context, struct exchange *planned) {
    plan(context, planned);
    while (clock_monotonic_us() - planned->started_us < 1000) {
    }
}

static void a_slow_request_leaves_a_line_at_a_bounded_rate(void) {
    captured_begin();
    exchange = exchange_create();
    exchanges = exchanges_create(&(struct http_options){.site = {NULL, plan_slowly},
                                                        .request_timeout_ms = 1000,
                                                        .slow_request_ms = 1,
                                                        .headers = {NULL, NULL, CORRELATION}});
    told.status = 200;
    told.why = NULL;
    for (int i = 0; i < 12; i++) {
        ask("slow", HEAD "\r\n");
    }
    const char *lines = captured_take();
    CHECK_INT(count_of(lines, "request is slow"), 10);
    CHECK_HAS(lines, "\"correlation_id\":\"mine\",\"endpoint\":\"slow\"");
    CHECK_HAS(lines, "\"status\":200,\"took_ms\":1");
    CHECK_HAS(lines, "\"queued_ms\":0,\"cache_ms\":0,\"state_ms\":0,\"database_ms\":0");
    exchanges_destroy(exchanges);
    CHECK_HAS(captured_take(), "\"error_type\":\"slow\",\"count\":2");
    exchange_destroy(exchange);
    captured_end();
}

#define TRACEPARENT "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"

static void the_line_of_an_error_has_the_requests_trace_id(void) {
    begin();
    told.status = 500;
    ask("traced", HEAD TRACEPARENT "\r\n");
    CHECK_HAS(captured_take(), "\"correlation_id\":\"mine\","
                               "\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"");
    ask("traced", HEAD TRACEPARENT "Content-Length: x\r\n\r\n");
    CHECK_HAS(captured_take(), "\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"");
    static const char *const none[] = {HEAD "\r\n", HEAD "traceparent: 00-0-0-01\r\n\r\n",
                                       HEAD TRACEPARENT TRACEPARENT "\r\n"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        ask("traced", none[i]);
        const char *line = captured_take();
        CHECK_HAS(line, "\"status\":500");
        CHECK(!strstr(line, "trace_id"));
    }
    end();
}

static void successful_responses_leave_no_line(void) {
    begin();
    told.why = NULL;
    for (told.status = 200; told.status <= 404; told.status += 204) {
        ask("answers", HEAD "\r\n");
        CHECK_TEXT(captured_take(), "");
    }
    end();
}

static void a_malformed_request_leaves_a_line_with_a_reason(void) {
    begin();
    ask("none", HEAD "Content-Length: x\r\n\r\n");
    const char *line = captured_take();
    CHECK_HAS(line, "\"status\":400");
    CHECK_HAS(line, "\"correlation_id\":\"mine\"");
    CHECK_HAS(line, "\"reason\":\"Invalid Content-Length\"");
    exchange_refuse(exchanges, exchange, (struct refusal){408, "The request did not come in time"});
    line = captured_take();
    CHECK_HAS(line, "\"status\":408");
    CHECK_HAS(line, exchange->correlation_id);
    cached_response_unref(exchange->response.cached);
    end();
}

static void many_errors_leave_a_few_lines_and_a_count(void) {
    begin();
    told.status = 503;
    told.why = NULL;
    for (int i = 0; i < 25; i++) {
        ask("storm", HEAD "\r\n");
    }
    told.status = 500; /* of another kind: not held up by the storm */
    ask("storm", HEAD "\r\n");
    const char *lines = captured_take();
    CHECK_INT(count_of(lines, "\"status\":503"), LOG_LIMIT_LINES);
    CHECK_INT(count_of(lines, "\"status\":500"), 1);
    CHECK(error_log_due_us() < clock_monotonic_us() + LOG_LIMIT_WINDOW_US);
    error_log_flush(clock_monotonic_us());
    CHECK_TEXT(captured_take(), "");
    error_log_flush(clock_monotonic_us() + LOG_LIMIT_WINDOW_US);
    lines = captured_take();
    CHECK_INT(count_of(lines, "\n"), 1);
    CHECK_HAS(lines, "\"message\":\"request errors left out of the log\",\"endpoint\":\"storm\","
                     "\"error_type\":\"unavailable\",\"count\":15");
    CHECK(error_log_due_us() == INT64_MAX);
    end();
}

static void a_503_says_what_was_missing_in_its_line_and_in_a_metric(void) {
    begin();
    for (int reason = UNAVAILABLE_CONNECTIONS; reason < UNAVAILABLE_REASONS; reason++) {
        char part[128];
        const char *name = unavailable_name(reason);
        told.status = 503;
        told.message = unavailable_message(reason);
        told.unavailable = reason == UNAVAILABLE_ROUTE ? UNAVAILABLE_NOT : reason;
        ask(name, HEAD "\r\n");
        snprintf(part, sizeof part, "\"unavailable\":\"%s\"", name);
        CHECK_HAS(captured_take(), part);
        snprintf(part, sizeof part, "ras_api_unavailable_total{endpoint=\"%s\",reason=\"%s\"} 1",
                 name, name);
        struct buffer page = {0};
        metrics_render(&page);
        CHECK_HAS(page.data, part);
        buffer_free(&page);
    }
    told.unavailable = UNAVAILABLE_NOT;
    told.message = NULL;
    end();
}

static void a_failure_is_unavailable_or_a_fault(void) {
    static const struct {
        enum err_kind kind;
        const char *sqlstate;
        enum unavailable reason;
    } failures[] = {
        {ERR_BUSY, "", UNAVAILABLE_STATES},
        {ERR_UNAVAILABLE, "", UNAVAILABLE_DEPENDENCY},
        {ERR_UNAVAILABLE, "57P01", UNAVAILABLE_DEPENDENCY},
        {ERR_UNAVAILABLE, "53300", UNAVAILABLE_DATABASE_BUSY},
        {ERR_TIMEOUT, "", UNAVAILABLE_TIMEOUT},
        {ERR_INPUT, "22021", UNAVAILABLE_NOT},
        {ERR_INTERNAL, "", UNAVAILABLE_NOT},
    };
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        struct err err = {.kind = failures[i].kind};
        snprintf(err.sqlstate, sizeof err.sqlstate, "%s", failures[i].sqlstate);
        CHECK_INT(unavailable_of(&err), failures[i].reason);
    }
}

static void log_fields_of_the_service_have_configured_names(void) {
    begin();
    exchanges_destroy(exchanges);
    exchanges = exchanges_create(&(struct http_options){.site = {NULL, plan},
                                                        .request_timeout_ms = 1000,
                                                        .headers = {"My-Key", "My-Name", "My-Id"}});
    char head[RESPONSE_HEAD_BYTES + 1];
    told.status = 401;
    endpoint_name = "named";
    CHECK(exchange_plan(
        exchanges, exchange,
        slice_of("GET / HTTP/1.1\r\nHost: h\r\nmy-key: k\r\nmy-name: n\r\nmy-id: i\r\n"
                 "X-Service-ID: none\r\n\r\n")));
    CHECK(slice_equal(exchange->request.fields[FIELD_API_KEY], slice_of("k")));
    CHECK(slice_equal(exchange->request.fields[FIELD_CALLER], slice_of("n")));
    head[response_format_head(&exchange->response, exchange->correlation_id, "now", head)] = '\0';
    CHECK_HAS(head, "\r\nMy-Id: i\r\n");
    CHECK_HAS(head, "\r\nWWW-Authenticate: My-Key\r\n");
    cached_response_unref(exchange->response.cached);
    end();
}

/* ---- a connection too many ----------------------------------------------------------------- */

static void a_refused_connection_gets_a_503_and_a_log_line_with_one_id(void) {
    struct err err = {0};
    char said[1024] = "", id[64] = "";
    captured_begin();
    told.status = 0;
    endpoint_name = "waits";
    told.message = told.why = NULL;
    pthread_mutex_lock(&waiting);
    struct http_server *server = http_server_start(
        &(struct http_options){.address = {.settings = "http", .host = "127.0.0.1"},
                               .loops = 1,
                               .threads = 1,
                               .max_connections = 1,
                               .request_timeout_ms = 10000,
                               .keep_alive_timeout_ms = 5000,
                               .site = {NULL, plan},
                               .headers = {NULL, NULL, CORRELATION}},
        &err);
    CHECK_OK(server != NULL, &err);
    http_server_accept(server);
    int first = dial_port(http_server_port(server)), second;
    CHECK(send(first, HEAD "\r\n", sizeof HEAD + 1, 0) > 0);
    WAIT_UNTIL(waits);
    second = dial_port(http_server_port(server));
    ssize_t got = recv(second, said, sizeof said - 1, 0);
    CHECK(got > 0);
    CHECK_HAS(said, "HTTP/1.1 503 ");
    CHECK_HAS(said, "\r\nConnection: close\r\n");
    const char *given = strstr(said, "X-Correlation-ID: ");
    CHECK(given && sscanf(given, "X-Correlation-ID: %63[^\r]", id) == 1);
    const char *line = captured_take();
    CHECK_HAS(line, "\"status\":503");
    CHECK_HAS(line, "\"reason\":\"Too many connections\",\"unavailable\":\"connections\"");
    CHECK_HAS(line, id);
    pthread_mutex_unlock(&waiting);
    close(first);
    close(second);
    CHECK(http_server_stop(server, INT64_MAX));
    captured_end();
}

/* ---- who is let in ------------------------------------------------------------------------- */

#define KEY "a-key-of-sixteen"

static struct config config;

static void set(struct config_strings *list, char **items, size_t count) {
    *list = (struct config_strings){items, count};
}

static enum admission_result judge(const char *key, const char *given_service) {
    struct err err = {0};
    struct admission *admission = admission_create(&config, &err);
    CHECK_OK(admission != NULL, &err);
    enum admission_result result =
        admission_judge(admission, slice_of(key), slice_of(given_service), NULL);
    admission_unref(admission);
    return result;
}

static void refusals_have_a_reason(void) {
    char *keys[] = {KEY}, *services[] = {"gateway"};
    config = (struct config){0};
    set(&config.http.api_keys, keys, 1);
    set(&config.http.allowed_services, services, 1);
    CHECK_INT(judge(KEY, "gateway"), ADMISSION_GOOD);
    CHECK_INT(judge(NULL, "gateway"), ADMISSION_MISSING_KEY);
    CHECK_INT(judge("", ""), ADMISSION_MISSING_KEY);
    CHECK_INT(judge(KEY, ""), ADMISSION_MISSING_SERVICE);
    CHECK_INT(judge("another", "gateway"), ADMISSION_WRONG_KEY);
    CHECK_INT(judge("another", "other"), ADMISSION_WRONG_KEY);
    CHECK_INT(judge(KEY, "other"), ADMISSION_SERVICE_NOT_ALLOWED);
    CHECK_TEXT(admission_reason(ADMISSION_SERVICE_NOT_ALLOWED), "service_not_allowed");
    CHECK_TEXT(admission_message(ADMISSION_SERVICE_NOT_ALLOWED),
               admission_message(ADMISSION_WRONG_KEY));
}

static void an_empty_list_of_keys_refuses_every_request(void) {
    char *keys[] = {KEY, ""}, *services[] = {"gateway"};
    config = (struct config){0};
    set(&config.http.allowed_services, services, 1);
    CHECK_INT(judge(KEY, "gateway"), ADMISSION_NO_KEYS);
    set(&config.http.api_keys, keys + 1, 1);
    CHECK_INT(judge("", "gateway"), ADMISSION_MISSING_KEY);
    CHECK_INT(judge("x", "gateway"), ADMISSION_NO_KEYS);
    set(&config.http.api_keys, keys, 1);
    set(&config.http.allowed_services, NULL, 0);
    CHECK_INT(judge(KEY, "gateway"), ADMISSION_SERVICE_NOT_ALLOWED);
}

static struct admission *admission_of_clients(char **names, size_t count) {
    struct err err = {0};
    set(&config.http.tls.client_names, names, count);
    struct admission *admission = admission_create(&config, &err);
    CHECK_OK(admission != NULL, &err);
    return admission;
}

static void a_client_that_is_no_longer_named_is_revoked_where_certificates_are_keys(void) {
    char *names[] = {"a", "b"};
    config = (struct config){.http.client_certificate_is_key = 1, .http.tls.client_ca = "ca.pem"};
    struct admission *any = admission_of_clients(names, 0), *one = admission_of_clients(names, 1);
    struct admission *both = admission_of_clients(names, 2);
    CHECK(admission_includes(both, one) && admission_includes(any, both));
    CHECK(admission_includes(any, any) && admission_includes(one, one));
    CHECK(!admission_includes(one, both));
    CHECK(!admission_includes(both, any));
    config.http.client_certificate_is_key = 0;
    struct admission *none = admission_of_clients(names, 2);
    CHECK(!admission_includes(none, one) && admission_includes(one, none));
    admission_unref(any);
    admission_unref(one);
    admission_unref(both);
    admission_unref(none);
}

static void check_warnings(size_t count, const char *part) {
    struct err err = {0};
    struct admission *admission = admission_create(&config, &err);
    CHECK_OK(admission != NULL, &err);
    const struct problems *warnings = admission_warnings(admission);
    CHECK_INT(warnings->count, count);
    bool found = count == 0;
    for (size_t i = 0; i < warnings->count; i++) {
        found = found || strstr(warnings->items[i].text, part);
        CHECK(!strstr(warnings->items[i].text, "short"));
    }
    CHECK(found);
    admission_unref(admission);
}

static void suspicious_keys_get_a_warning(void) {
    char *keys[] = {KEY, "", "short"}, *services[] = {"gateway"};
    config = (struct config){0};
    check_warnings(2, "http.api_keys is empty: every request");
    check_warnings(2, "http.allowed_services is empty: every request");
    set(&config.http.api_keys, keys, 1);
    set(&config.http.allowed_services, services, 1);
    check_warnings(0, "");
    set(&config.http.api_keys, keys, 3);
    check_warnings(2, "http.api_keys: entry 3 has fewer than 16 bytes");
    check_warnings(2, "http.api_keys: entry 2 is empty");
    set(&config.http.api_keys, keys, 1);
    set(&config.admin.keys, keys + 2, 1);
    check_warnings(1, "admin.keys: entry 1 has fewer than 16 bytes");
}

static void keys_that_no_request_can_send_are_refused(void) {
    char *keys[] = {" " KEY};
    struct err err = {0};
    config = (struct config){0};
    set(&config.http.api_keys, keys, 1);
    CHECK(!admission_create(&config, &err));
    CHECK_TEXT(err.text, "http.api_keys: entry 1 begins or ends with a blank, which no request can "
                         "send");
}

static const struct test_case cases[] = {
    {"a slow request leaves a line at a bounded rate",
     a_slow_request_leaves_a_line_at_a_bounded_rate},
    {"a window has its first lines and a count of the others",
     a_window_has_its_first_lines_and_a_count_of_the_others},
    {"the first line of each mistake is written above the limit",
     the_first_line_of_each_mistake_is_written_above_the_limit},
    {"mistakes above the limit are bounded", mistakes_above_the_limit_are_bounded},
    {"every error leaves a line with its correlation id",
     every_error_leaves_a_line_with_its_correlation_id},
    {"the line of an error has the request's trace id",
     the_line_of_an_error_has_the_requests_trace_id},
    {"successful responses leave no line", successful_responses_leave_no_line},
    {"a malformed request leaves a line with a reason",
     a_malformed_request_leaves_a_line_with_a_reason},
    {"many errors leave a few lines and a count", many_errors_leave_a_few_lines_and_a_count},
    {"a 503 says what was missing, in its line and in a metric",
     a_503_says_what_was_missing_in_its_line_and_in_a_metric},
    {"a failure is unavailable or a fault", a_failure_is_unavailable_or_a_fault},
    {"log fields of the service have configured names",
     log_fields_of_the_service_have_configured_names},
    {"a refused connection gets a 503 and a log line with one id",
     a_refused_connection_gets_a_503_and_a_log_line_with_one_id},
    {"refusals have a reason", refusals_have_a_reason},
    {"an empty list of keys refuses every request", an_empty_list_of_keys_refuses_every_request},
    {"a client that is no longer named is revoked where certificates are keys",
     a_client_that_is_no_longer_named_is_revoked_where_certificates_are_keys},
    {"suspicious keys get a warning", suspicious_keys_get_a_warning},
    {"keys that no request can send are refused", keys_that_no_request_can_send_are_refused},
};

TEST_MAIN(cases)
