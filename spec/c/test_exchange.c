/* A request and its plan: made once by the loop, carried out once by a worker, released once. */
#include "http/exchange.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "sockets.h"

static _Atomic int planned, carried_out, released;

/* The path, as it still stands in the connection's input. */
static void answer_with_path(void *context, struct exchange *exchange) {
    (void)context;
    carried_out++;
    response_set_momentary(&exchange->response, cached_response_create(200, exchange->request.path),
                           "t/t");
}

static void release(void *held) {
    (void)held;
    released++;
}

static void plan(void *context, struct exchange *exchange) {
    (void)context;
    planned++;
    exchange->plan.carry_out = answer_with_path;
    exchange->plan.release = release;
}

static const struct site site = {NULL, plan};

static void begin(void) {
    log_configure(LOG_ERROR + 1, true);
    planned = carried_out = released = 0;
}

#define REQUEST(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

/* Two requests in one segment: the second lies behind the first while a worker has that one. */
static void a_worker_carries_out_a_plan_once(void) {
    struct err err = {0};
    char said[2048] = "";
    size_t len = 0;
    begin();
    struct http_server *server =
        http_server_start(&(struct http_options){.address = {.host = "127.0.0.1"},
                                                 .loops = 1,
                                                 .threads = 2,
                                                 .max_connections = 4,
                                                 .request_timeout_ms = 9000,
                                                 .keep_alive_timeout_ms = 9000,
                                                 .site = site},
                          &err);
    CHECK_OK(server != NULL, &err);
    http_server_accept(server);
    int fd = dial_port(http_server_port(server));
    static const char requests[] = REQUEST("/first") REQUEST("/second");
    CHECK(send(fd, requests, sizeof requests - 1, 0) > 0);
    for (ssize_t got = 1; got > 0 && !strstr(said, "\r\n\r\n/second"); len += (size_t)got) {
        got = recv(fd, said + len, sizeof said - 1 - len, 0);
        got = got > 0 ? got : 0;
    }
    const char *first = strstr(said, "\r\n\r\n/first");
    CHECK(first && strstr(first, "\r\n\r\n/second"));
    close(fd);
    CHECK(http_server_stop(server, INT64_MAX));
    CHECK_INT(planned, 2);
    CHECK_INT(carried_out, 2);
    CHECK_INT(released, 2);
}

static void a_timed_out_plan_gets_a_503_and_is_released(void) {
    begin();
    struct exchanges *exchanges = exchanges_create(
        &(struct http_options){.site = site, .request_timeout_ms = 0}); /* over at once */
    struct exchange *exchange = exchange_create();
    CHECK(!exchange_plan(exchanges, exchange, slice_of(REQUEST("/x"))));
    exchange_carry_out(exchanges, exchange);
    CHECK_INT(exchange->response.status, 503);
    CHECK_INT(carried_out, 0);
    CHECK_INT(released, 1);
    cached_response_unref(exchange->response.cached);
    exchange_destroy(exchange);
    exchanges_destroy(exchanges);
}

static void a_plan_without_a_client_is_released(void) {
    begin();
    struct exchanges *exchanges =
        exchanges_create(&(struct http_options){.site = site, .request_timeout_ms = 1000});
    struct exchange *exchange = exchange_create();
    CHECK(!exchange_plan(exchanges, exchange, slice_of(REQUEST("/x"))));
    exchange_drop(exchange);
    CHECK_INT(carried_out, 0);
    CHECK_INT(released, 1);
    CHECK(!exchange->response.cached);
    exchange_destroy(exchange);
    exchanges_destroy(exchanges);
}

static bool closes_after_a_response(int keep_alive_timeout_ms) {
    struct exchanges *exchanges = exchanges_create(&(struct http_options){
        .site = site, .request_timeout_ms = 60000, .keep_alive_timeout_ms = keep_alive_timeout_ms});
    struct exchange *exchange = exchange_create();
    CHECK(!exchange_plan(exchanges, exchange, slice_of(REQUEST("/x"))));
    exchange_carry_out(exchanges, exchange);
    bool closes = exchange->response.close;
    cached_response_unref(exchange->response.cached);
    exchange_destroy(exchange);
    exchanges_destroy(exchanges);
    return closes;
}

static void a_connection_that_waits_for_no_further_request_is_closed_by_its_response(void) {
    begin();
    CHECK(closes_after_a_response(0));
    CHECK(!closes_after_a_response(1));
}

static const struct test_case cases[] = {
    {"a worker carries out a plan once", a_worker_carries_out_a_plan_once},
    {"a timed-out plan gets a 503 and is released", a_timed_out_plan_gets_a_503_and_is_released},
    {"a plan without a client is released", a_plan_without_a_client_is_released},
    {"a connection that waits for no further request is closed by its response",
     a_connection_that_waits_for_no_further_request_is_closed_by_its_response},
};

TEST_MAIN(cases)
