/* The server's threads together, without a database: loops, workers, health checks and many
 * clients. Most useful under ThreadSanitizer. Run from the project's root, for its scripts. */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/health.h"
#include "monitor/metrics_page.h"
#include "http/api_site.h"
#include "http/exchange.h"
#include "http/http_server.h"
#include "base/log.h"
#include "test.h"

#define CLIENTS 8
#define ROUNDS 60
#define REPLACEMENTS 20

static struct config *config;
static struct script_generation *generation;
static struct cache *cache;
static struct health *health;
static struct builtin_sources sources;
static struct api *api;
static struct http_server *server;

static enum ingest_state consuming(void *context, struct buffer *json) {
    (void)context;
    buffer_append_text(json, "\"kafka\":{\"status\":\"healthy\"}");
    return INGEST_MOVES;
}

static bool start(void) {
    struct err err = {0};
    setenv("RESULT_AGGREGATOR_SERVICE_DATABASE_URL", "postgresql://ras@127.0.0.1:1/none", 1);
    setenv("HEALTHZ_NEEDS_DATABASE", "false", 1); /* else its status hangs on a first look */
    setenv("REDIS_URL", "none", 1);
    setenv("HULEEDU_INTERNAL_API_KEY", "key", 1);
    log_configure(LOG_ERROR + 1, true);
    signal(SIGPIPE, SIG_IGN);
    config = config_load("config.lua", &err);
    generation = config ? script_generation_load(config, 1, &err) : NULL;
    cache = cache_create(&(struct cache_options){.redis_url = "", .max_bytes = 1000}, &err);
    health =
        generation ? health_start(&(struct health_options){config, consuming, NULL}, &err) : NULL;
    sources = (struct builtin_sources){health, health_is_fresh, health_report, metrics_page_append};
    struct api_scripts *scripts = health ? api_scripts_create(generation, &sources, &err) : NULL;
    api = scripts ? api_create(cache, scripts, &err) : NULL;
    server = api ? http_server_start(
                       &(struct http_options){.host = "127.0.0.1",
                                              .loops = 2,
                                              .threads = 16,
                                              .max_connections = 4096,
                                              .request_timeout_ms = 10000,
                                              .keep_alive_timeout_ms = 5000,
                                              .site = api_site(api),
                                              .headers = {config->http.api_key_header,
                                                          config->http.caller_header,
                                                          config->http.correlation_id_header}},
                       &err)
                 : NULL;
    if (!server) {
        printf("    %s\n", err.text);
    }
    return server != NULL;
}

static void stop(void) {
    CHECK(http_server_stop(server, INT64_MAX));
    api_destroy(api);
    health_stop(health);
    cache_destroy(cache);
    script_generation_unref(generation);
    config_unref(config);
}

static int dial(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {10, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The statuses of all answers until the server closes, as text: "200 404 ". */
static void read_statuses(int fd, char *out, size_t cap) {
    struct buffer bytes = {0};
    char part[4096];
    ssize_t got;
    while ((got = recv(fd, part, sizeof part, 0)) > 0) {
        buffer_append(&bytes, part, (size_t)got);
    }
    size_t len = 0;
    out[0] = '\0';
    for (const char *at = bytes.data; at && (at = strstr(at, "HTTP/1.1 ")) && len + 5 < cap;
         at += 9) {
        len += (size_t)snprintf(out + len, cap - len, "%.4s", at + 9);
    }
    buffer_free(&bytes);
}

#define REQUEST(path, more) "GET " path " HTTP/1.1\r\nHost: h\r\n" more "\r\n"
#define KEYS "X-Internal-API-Key: key\r\nX-Service-ID: api-gateway-service\r\n"

static const char pipeline[] =
    REQUEST("/healthz", "") REQUEST("/nowhere", "") REQUEST("/batches/b/status", "")
        REQUEST("/batches/b/status", KEYS) REQUEST("/openapi.json", "If-None-Match: *\r\n")
            REQUEST("/readyz", "") REQUEST("/metrics", "Connection: close\r\n");
static const char answers[] = "200 404 401 503 304 503 200 ";

static _Atomic int wrong;

static void *be_client(void *context) {
    char statuses[128];
    for (int round = 0; round < ROUNDS; round++) {
        int fd = dial(http_server_port(server));
        bool sent = fd >= 0 && send(fd, pipeline, sizeof pipeline - 1, 0) > 0;
        if (sent && round % 4 != (int)(intptr_t)context % 4) { /* else it goes without reading */
            read_statuses(fd, statuses, sizeof statuses);
            sent = strcmp(statuses, answers) == 0;
        }
        wrong += !sent;
        close(fd);
    }
    return NULL;
}

static void answers_many_clients_at_once(void) {
    pthread_t threads[CLIENTS];
    if (!start()) {
        CHECK(server);
        return;
    }
    for (intptr_t i = 0; i < CLIENTS; i++) {
        pthread_create(&threads[i], NULL, be_client, (void *)i);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_INT(wrong, 0);
    struct buffer page = {0};
    metrics_page_append(&page, "service");
    CHECK_HAS(page.data,
              "ras_api_unavailable_total{endpoint=\"get_batch_status\",reason=\"dependency\"}");
    buffer_free(&page);
    stop();
}

static void replaces_scripts_under_load(void) {
    pthread_t threads[CLIENTS];
    struct err err = {0};
    wrong = 0;
    if (!start()) {
        CHECK(server);
        return;
    }
    for (intptr_t i = 0; i < CLIENTS; i++) {
        pthread_create(&threads[i], NULL, be_client, (void *)i);
    }
    for (int i = 0; i < REPLACEMENTS; i++) {
        struct api_scripts *scripts = api_scripts_create(generation, &sources, &err);
        CHECK_OK(scripts != NULL, &err);
        api_replace(api, scripts);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_INT(wrong, 0);
    stop();
}

static _Atomic bool stopped;

/* Whole responses or none: accepted requests get their whole responses. */
static void *ask_until_stopped(void *port) {
    char statuses[128];
    while (!atomic_load(&stopped)) {
        int fd = dial((int)(intptr_t)port);
        if (fd >= 0 && send(fd, pipeline, sizeof pipeline - 1, MSG_NOSIGNAL) > 0) {
            read_statuses(fd, statuses, sizeof statuses);
            wrong += strncmp(statuses, answers, strlen(statuses)) != 0;
        }
        close(fd);
    }
    return NULL;
}

static void stops_under_load(void) {
    pthread_t threads[CLIENTS];
    wrong = 0;
    if (!start()) {
        CHECK(server);
        return;
    }
    intptr_t port = http_server_port(server);
    for (int i = 0; i < CLIENTS; i++) {
        pthread_create(&threads[i], NULL, ask_until_stopped, (void *)port);
    }
    for (int fd, i = 0; i < 20; i++) {
        char statuses[128];
        fd = dial((int)port);
        send(fd, pipeline, sizeof pipeline - 1, MSG_NOSIGNAL);
        read_statuses(fd, statuses, sizeof statuses);
        close(fd);
    }
    stop();
    atomic_store(&stopped, true);
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_INT(wrong, 0);
}

static pthread_mutex_t plan_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool plans;

/* Hangs the loop while the test holds the lock. */
static void plan_slowly(void *context, struct exchange *exchange) {
    (void)context;
    atomic_store(&plans, true);
    pthread_mutex_lock(&plan_lock);
    pthread_mutex_unlock(&plan_lock);
    response_set_error(&exchange->response, 404, "none");
}

static bool poke_until(struct http_server *poked, bool turns) {
    for (int i = 0; i < 5000; i++) {
        if (http_server_poke(poked) == turns) {
            return true;
        }
        usleep(1000);
    }
    return false;
}

static void finds_a_loop_that_hangs(void) {
    struct err err = {0};
    struct http_options options = {.host = "127.0.0.1",
                                   .loops = 1,
                                   .threads = 1,
                                   .max_connections = 8,
                                   .request_timeout_ms = 10000,
                                   .keep_alive_timeout_ms = 5000,
                                   .site = {NULL, plan_slowly}};
    struct http_server *poked = http_server_start(&options, &err);
    CHECK_OK(poked != NULL, &err);
    CHECK(poke_until(poked, true));
    pthread_mutex_lock(&plan_lock);
    int fd = dial(http_server_port(poked));
    CHECK(send(fd, pipeline, sizeof pipeline - 1, MSG_NOSIGNAL) > 0);
    while (!atomic_load(&plans)) {
        usleep(1000);
    }
    http_server_poke(poked);
    CHECK(!http_server_poke(poked));
    pthread_mutex_unlock(&plan_lock);
    CHECK(poke_until(poked, true));
    close(fd);
    CHECK(http_server_stop(poked, INT64_MAX));
}

static const struct test_case cases[] = {
    {"finds a loop that hangs", finds_a_loop_that_hangs},
    {"answers many clients at once", answers_many_clients_at_once},
    {"replaces scripts under load", replaces_scripts_under_load},
    {"stops under load", stops_under_load},
};

TEST_MAIN(cases)
