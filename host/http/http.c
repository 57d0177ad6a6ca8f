#include "http.h"

#include <civetweb.h>
#include <stdio.h>
#include <stdlib.h>

#include "../clock.h"
#include "../log.h"
#include "../metrics.h"
#include "../uuid.h"
#include "../xalloc.h"
#include "router.h"

#define CORRELATION_MAX 128
#define OPENAPI_MAX_BYTES (1024 * 1024)

struct http_server {
    struct http_options options;
    struct script_generation *generation;
    const struct script_route *routes;
    size_t route_count;
    struct mg_context *civetweb;
    struct buffer openapi;
};

/* One request on its way; on the stack of its thread. */
struct exchange {
    struct http_server *server;
    struct mg_connection *connection;
    const struct mg_request_info *info;
    const char *endpoint; /* metrics label */
    char correlation_id[CORRELATION_MAX + 1];
    int64_t started_us;
};

/* ---- answering ---------------------------------------------------------------------------- */

static const char *reason_of(int status) {
    switch (status) {
    case 200:
        return "OK";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 503:
        return "Service Unavailable";
    default:
        return status < 400 ? "OK" : status < 500 ? "Bad Request" : "Internal Server Error";
    }
}

static void count_request(const struct exchange *exchange, int status) {
    char code[8];
    snprintf(code, sizeof code, "%d", status);
    struct metric *requests = metric_family(METRIC_COUNTER, "ras_api_requests_total",
                                            "Answered requests.", "endpoint,method,status_code");
    struct metric *seconds =
        metric_family(METRIC_HISTOGRAM, "ras_api_request_duration_seconds",
                      "From the request's head to its answer.", "endpoint,method");
    const char *method = exchange->info->request_method;
    metric_add(metric_cell(requests, exchange->endpoint, method, code), 1);
    metric_observe(metric_cell(seconds, exchange->endpoint, method),
                   (double)(clock_monotonic_us() - exchange->started_us) / 1e6);
    if (status >= 400) {
        struct metric *errors =
            metric_family(METRIC_COUNTER, "ras_api_errors_total",
                          "Requests answered with an error.", "endpoint,error_type");
        metric_add(
            metric_cell(errors, exchange->endpoint, status < 500 ? "validation" : "internal"), 1);
    }
}

struct reply {
    int status;
    const char *type;
    struct slice body;
    const char *etag;  /* or NULL */
    const char *extra; /* whole header lines, or "" */
};

/* One write an answer: head and body together. */
static int send_reply(struct exchange *exchange, const struct reply *reply) {
    struct buffer out = {0};
    bool head = strcmp(exchange->info->request_method, "HEAD") == 0;
    buffer_append_format(&out,
                         "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                         "X-Correlation-ID: %s\r\nCache-Control: no-store\r\n%s",
                         reply->status, reason_of(reply->status), reply->type, reply->body.len,
                         exchange->correlation_id, reply->extra);
    if (reply->etag) {
        buffer_append_format(&out, "ETag: %s\r\n", reply->etag);
    }
    buffer_append_text(&out, reply->status == 400 ? "Connection: close\r\n\r\n" : "\r\n");
    if (!head && reply->status != 304) {
        buffer_append(&out, reply->body.data, reply->body.len);
    }
    int written = mg_write(exchange->connection, out.data, out.len);
    buffer_free(&out);
    if (written <= 0) {
        log_debug("the client went away before its answer");
    }
    count_request(exchange, reply->status);
    return reply->status;
}

static int send_error(struct exchange *exchange, int status, const char *message,
                      const char *extra) {
    struct buffer body = {0};
    buffer_append_text(&body, "{\"error\":");
    buffer_append_json_string(&body, slice_of(message));
    buffer_append_text(&body, "}");
    struct reply reply = {status, "application/json", buffer_slice(&body), NULL, extra};
    send_reply(exchange, &reply);
    buffer_free(&body);
    return status;
}

static int send_answer(struct exchange *exchange, const struct answer *answer) {
    const char *wanted = mg_get_header(exchange->connection, "If-None-Match");
    bool same = answer->status == 200 && wanted && strstr(wanted, answer->etag) != NULL;
    struct reply reply = {same ? 304 : answer->status, "application/json", answer->body,
                          answer->status == 200 ? answer->etag : NULL,
                          answer->status == 503 ? "Retry-After: 1\r\n" : ""};
    if (same) {
        reply.body.len = 0;
    }
    return send_reply(exchange, &reply);
}

/* ---- authentication ----------------------------------------------------------------------- */

/* Time depends on the lengths only, never on where the texts differ. */
static bool equal_in_constant_time(const char *given, const char *known) {
    size_t given_len = strlen(given), known_len = strlen(known);
    unsigned char different = given_len != known_len;
    for (size_t i = 0; i < given_len; i++) {
        different |= (unsigned char)(given[i] ^ (known_len ? known[i % known_len] : 0));
    }
    return different == 0;
}

static bool is_among(const struct config_strings *known, const char *given) {
    bool found = false;
    for (size_t i = 0; i < known->count; i++) {
        found |= equal_in_constant_time(given, known->items[i]); /* all are compared */
    }
    return found;
}

/* NULL, or the message of the 401. */
static const char *refuse(const struct exchange *exchange) {
    const struct config *config = exchange->server->options.config;
    const char *key = mg_get_header(exchange->connection, "X-Internal-API-Key");
    const char *service = mg_get_header(exchange->connection, "X-Service-ID");
    if (!key || !key[0] || !service || !service[0]) {
        return "Missing authentication";
    }
    bool key_ok = is_among(&config->http.api_keys, key);
    bool service_ok = is_among(&config->http.allowed_services, service);
    return key_ok && service_ok ? NULL : "Invalid credentials";
}

/* ---- routes ------------------------------------------------------------------------------- */

struct computation {
    struct exchange *exchange;
    struct script_request request;
};

/* On a miss: the script's answer. Runs on the request's own thread. */
static struct answer *compute(void *context, uint64_t **tags, size_t *tag_count, struct err *err) {
    struct computation *computation = context;
    struct http_server *server = computation->exchange->server;
    struct script_response response;
    enum script_result result =
        script_pool_answer(server->options.pool, &computation->request,
                           server->options.config->http.request_timeout_ms, &response, err);
    if (result != SCRIPT_OK) {
        free((char *)response.body.data);
        free(response.tags);
        return NULL;
    }
    struct answer *answer = answer_create(response.status, response.body);
    free((char *)response.body.data);
    *tags = response.tags;
    *tag_count = response.tag_count;
    return answer;
}

/* "api:batch:{batch_id}" with the path's parameters in place. */
static void expand_key(const char *pattern, const struct router_pairs *params, struct buffer *key) {
    while (*pattern) {
        size_t plain = strcspn(pattern, "{");
        buffer_append(key, pattern, plain);
        pattern += plain;
        if (!*pattern) {
            break;
        }
        size_t len = strcspn(pattern + 1, "}");
        for (size_t i = 0; i < params->count; i++) {
            if (slice_equal(params->items[i].name, (struct slice){pattern + 1, len})) {
                buffer_append(key, params->items[i].value.data, params->items[i].value.len);
            }
        }
        pattern += len + 2;
    }
}

static struct answer *find_answer(struct computation *computation, const struct script_route *route,
                                  const struct router_pairs *params, struct err *err) {
    struct http_server *server = computation->exchange->server;
    if (!route->cache_key) {
        uint64_t *tags = NULL;
        size_t count = 0;
        struct answer *answer = compute(computation, &tags, &count, err);
        free(tags);
        return answer;
    }
    struct buffer key = {0};
    expand_key(route->cache_key, params, &key);
    struct answer *answer =
        cache_get(server->options.cache, buffer_slice(&key), route->cache_type,
                  server->options.config->http.request_timeout_ms, compute, computation, err);
    buffer_free(&key);
    return answer;
}

static int send_failure(struct exchange *exchange, const struct err *err) {
    log_error("request failed", LOG_TEXT("endpoint", exchange->endpoint),
              LOG_TEXT("error", err->text));
    if (err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT) {
        return send_error(exchange, 503, "Service unavailable", "Retry-After: 1\r\n");
    }
    return send_error(exchange, 500, "Internal server error", "");
}

static int serve_route(struct exchange *exchange, size_t number,
                       const struct router_pairs *params) {
    const struct script_route *route = &exchange->server->routes[number];
    struct router_pairs query;
    struct err err = {0};
    const char *refusal = route->authenticated ? refuse(exchange) : NULL;
    if (refusal) {
        return send_error(exchange, 401, refusal, "");
    }
    if (!router_parse_query(exchange->info->query_string, &query)) {
        return send_error(exchange, 400, "Invalid query string", "");
    }
    struct computation computation = {
        exchange,
        {number, params->items, params->count, query.items, query.count, exchange->correlation_id}};
    struct answer *answer = find_answer(&computation, route, params, &err);
    if (!answer) {
        return send_failure(exchange, &err);
    }
    int status = send_answer(exchange, answer);
    answer_unref(answer);
    return status;
}

/* ---- the host's own paths ----------------------------------------------------------------- */

static int serve_health(struct exchange *exchange, bool readiness) {
    struct http_server *server = exchange->server;
    const struct config *config = server->options.config;
    struct buffer dependencies = {0}, body = {0};
    bool ready = server->options.ready(server->options.ready_context, &dependencies);
    bool good = ready || !readiness;
    buffer_append_format(&body,
                         "{\"service\":\"%s\",\"status\":\"%s\",\"version\":\"%s\","
                         "\"environment\":\"%s\",\"checks\":{\"service_responsive\":true,"
                         "\"dependencies_available\":%s},\"dependencies\":{%s}}",
                         config->service.name, good ? "healthy" : "unhealthy", AGGREGATOR_VERSION,
                         config->service.environment, ready ? "true" : "false",
                         dependencies.data ? dependencies.data : "");
    struct reply reply = {good ? 200 : 503, "application/json", buffer_slice(&body), NULL,
                          good ? "" : "Retry-After: 1\r\n"};
    int status = send_reply(exchange, &reply);
    buffer_free(&body);
    buffer_free(&dependencies);
    return status;
}

static int serve_metrics(struct exchange *exchange) {
    struct buffer body = {0};
    metrics_render(&body);
    struct reply reply = {200, "text/plain; version=0.0.4; charset=utf-8", buffer_slice(&body),
                          NULL, ""};
    int status = send_reply(exchange, &reply);
    buffer_free(&body);
    return status;
}

/* 0: none of the host's. */
static int serve_own(struct exchange *exchange) {
    const char *path = exchange->info->local_uri;
    const char *method = exchange->info->request_method;
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    static const char *const own[] = {"/healthz", "/readyz", "/metrics", "/openapi.json"};
    size_t which = 0;
    while (which < 4 && strcmp(path, own[which]) != 0) {
        which++;
    }
    if (which == 4) {
        return 0;
    }
    exchange->endpoint = own[which] + 1;
    if (!reads) {
        return send_error(exchange, 405, "Method not allowed", "Allow: GET, HEAD\r\n");
    }
    if (which == 2) {
        return serve_metrics(exchange);
    }
    if (which == 3) {
        struct reply reply = {200, "application/json", buffer_slice(&exchange->server->openapi),
                              NULL, ""};
        return send_reply(exchange, &reply);
    }
    return serve_health(exchange, which == 1);
}

/* ---- requests ----------------------------------------------------------------------------- */

static void set_correlation_id(struct exchange *exchange) {
    const char *given = mg_get_header(exchange->connection, "X-Correlation-ID");
    size_t len = given ? strlen(given) : 0;
    bool good = len > 0 && len <= CORRELATION_MAX;
    for (size_t i = 0; good && i < len; i++) {
        good = given[i] >= 0x20 && given[i] < 0x7F;
    }
    if (good) {
        memcpy(exchange->correlation_id, given, len + 1);
    } else {
        uint8_t id[16];
        uuid_generate_v4(id);
        uuid_format(id, exchange->correlation_id);
    }
    log_set_correlation_id(exchange->correlation_id);
}

/* A body on GET, or lengths that a proxy may read in another way, end the connection. */
static const char *refuse_framing(const struct exchange *exchange) {
    const char *length = mg_get_header(exchange->connection, "Content-Length");
    if (mg_get_header(exchange->connection, "Transfer-Encoding")) {
        return "Transfer-Encoding is not accepted";
    }
    return length && strcmp(length, "0") != 0 ? "A request body is not accepted" : NULL;
}

static int serve(struct exchange *exchange) {
    struct router_pairs params;
    size_t route;
    const char *refusal = refuse_framing(exchange);
    if (refusal) {
        return send_error(exchange, 400, refusal, "");
    }
    int status = serve_own(exchange);
    if (status) {
        return status;
    }
    switch (router_find(exchange->server->routes, exchange->server->route_count,
                        exchange->info->request_method, exchange->info->request_uri, &route,
                        &params)) {
    case ROUTER_FOUND:
        exchange->endpoint = exchange->server->routes[route].endpoint;
        return serve_route(exchange, route, &params);
    case ROUTER_WRONG_METHOD:
        return send_error(exchange, 405, "Method not allowed", "Allow: GET, HEAD\r\n");
    case ROUTER_BAD_PARAMETER:
        exchange->endpoint = exchange->server->routes[route].endpoint;
        return send_error(exchange, 400, "Invalid path parameter", "");
    case ROUTER_NOT_FOUND:
        break;
    }
    return send_error(exchange, 404, "Not found", "");
}

static int on_request(struct mg_connection *connection, void *context) {
    struct exchange exchange = {
        .server = context,
        .connection = connection,
        .info = mg_get_request_info(connection),
        .endpoint = "unknown",
        .started_us = clock_monotonic_us(),
    };
    set_correlation_id(&exchange);
    int status = serve(&exchange);
    log_set_correlation_id("");
    return status;
}

/* ---- the server --------------------------------------------------------------------------- */

static int on_log(const struct mg_connection *connection, const char *message) {
    (void)connection;
    log_warning("http server", LOG_TEXT("detail", message));
    return 1;
}

static void read_openapi(struct http_server *server) {
    char path[4096];
    snprintf(path, sizeof path, "%s/openapi.json", server->options.config->scripts.root);
    FILE *file = fopen(path, "re");
    if (!file) {
        log_warning("no API description", LOG_TEXT("path", path));
        buffer_append_text(&server->openapi, "{}");
        return;
    }
    char *to = buffer_reserve(&server->openapi, OPENAPI_MAX_BYTES);
    server->openapi.len = fread(to, 1, OPENAPI_MAX_BYTES, file);
    fclose(file);
}

static bool listen_on(struct http_server *server, struct err *err) {
    const struct config *config = server->options.config;
    char ports[300], threads[16], keep_alive[16], timeout[16];
    snprintf(ports, sizeof ports, "%s:%d", config->http.host, config->http.port);
    snprintf(threads, sizeof threads, "%d", config->http.threads);
    snprintf(keep_alive, sizeof keep_alive, "%d", config->http.keep_alive_timeout_ms);
    snprintf(timeout, sizeof timeout, "%d", config->http.request_timeout_ms);
    /* No document_root: files are never served. */
    const char *settings[] = {"listening_ports",
                              ports,
                              "num_threads",
                              threads,
                              "enable_keep_alive",
                              "yes",
                              "keep_alive_timeout_ms",
                              keep_alive,
                              "request_timeout_ms",
                              timeout,
                              "tcp_nodelay",
                              "1",
                              "max_request_size",
                              "16384",
                              NULL};
    struct mg_callbacks callbacks = {.log_message = on_log};
    server->civetweb = mg_start(&callbacks, server, settings);
    if (!server->civetweb) {
        return err_set(err, ERR_INPUT, "cannot listen on %s: is the port taken?", ports);
    }
    mg_set_request_handler(server->civetweb, "/", on_request, server);
    return true;
}

struct http_server *http_start(const struct http_options *options, struct err *err) {
    struct http_server *server = xcalloc(1, sizeof *server);
    server->options = *options;
    server->generation = script_pool_generation(options->pool);
    server->routes = script_generation_routes(server->generation, &server->route_count);
    read_openapi(server);
    mg_init_library(0);
    if (!listen_on(server, err)) {
        http_stop(server);
        return NULL;
    }
    return server;
}

int http_port(const struct http_server *server) {
    struct mg_server_port port;
    return mg_get_server_ports(server->civetweb, 1, &port) == 1 ? port.port : -1;
}

void http_stop(struct http_server *server) {
    if (server->civetweb) {
        mg_stop(server->civetweb);
    }
    mg_exit_library();
    script_generation_unref(server->generation);
    buffer_free(&server->openapi);
    free(server);
}
