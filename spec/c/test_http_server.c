/* The server's threads together, without a database: loops, workers, health checks and many
 * clients. Most useful under ThreadSanitizer. Run from the project's root, for its scripts. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "http/certificates.h"
#include "monitor/health.h"
#include "monitor/metrics_page.h"
#include "http/api_site.h"
#include "http/exchange.h"
#include "http/http_server.h"
#include "base/log.h"
#include "certificates.h"
#include "sockets.h"

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
static struct certificates *certificates; /* NULL: without TLS */
static struct certificates_of listener;
static struct tls_context *trust; /* of the clients; NULL: they are plain */

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
                       &(struct http_options){.address = {.settings = "http", .host = "127.0.0.1"},
                                              .loops = 2,
                                              .threads = 16,
                                              .max_connections = 4096,
                                              .request_timeout_ms = 10000,
                                              .keep_alive_timeout_ms = 5000,
                                              .handshake_timeout_ms = 5000,
                                              .max_handshakes = 1024,
                                              .certificates = certificates,
                                              .site = api_site(api),
                                              .headers = {config->http.api_key_header,
                                                          config->http.caller_header,
                                                          config->http.correlation_id_header}},
                       &err)
                 : NULL;
    if (!server) {
        printf("    %s\n", err.text);
        return false;
    }
    http_server_accept(server);
    return true;
}

static void stop(void) {
    CHECK(http_server_stop(server, INT64_MAX));
    api_destroy(api);
    health_stop(health);
    cache_destroy(cache);
    script_generation_unref(generation);
    config_unref(config);
}

/* A client's connection, whose socket blocks. */
struct client {
    int fd;
    struct tls_session *tls; /* NULL: plain */
};

static struct client client_dial(int port) {
    struct client client = {dial_port(port), NULL};
    struct err err = {0};
    if (client.fd >= 0 && trust) {
        client.tls = tls_session_create(trust, client.fd, "localhost", &err);
        CHECK_OK(tls_session_handshake(client.tls, &err) == TLS_DONE, &err);
    }
    return client;
}

static bool client_send(struct client *client, const char *bytes, size_t len) {
    struct err err = {0};
    size_t sent = 0;
    return client->tls ? tls_session_write(client->tls, bytes, len, &sent, &err) == TLS_DONE
                       : send(client->fd, bytes, len, 0) > 0;
}

static ssize_t client_receive(struct client *client, char *to, size_t room) {
    struct err err = {0};
    size_t got = 0;
    if (!client->tls) {
        return recv(client->fd, to, room, 0);
    }
    return tls_session_read(client->tls, to, room, &got, &err) == TLS_DONE ? (ssize_t)got : 0;
}

static void client_close(struct client *client) {
    tls_session_destroy(client->tls);
    close(client->fd);
}

/* The statuses of all answers until the server closes, as text: "200 404 ". */
static void client_read_statuses(struct client *client, char *out, size_t cap) {
    struct buffer bytes = {0};
    char part[4096];
    ssize_t got;
    while ((got = client_receive(client, part, sizeof part)) > 0) {
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

static void read_statuses(int fd, char *out, size_t cap) {
    client_read_statuses(&(struct client){fd, NULL}, out, cap);
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
        struct client client = client_dial(http_server_port(server));
        bool sent = client.fd >= 0 && client_send(&client, pipeline, sizeof pipeline - 1);
        if (sent && round % 4 != (int)(intptr_t)context % 4) { /* else it goes without reading */
            client_read_statuses(&client, statuses, sizeof statuses);
            sent = strcmp(statuses, answers) == 0;
        }
        wrong += !sent;
        client_close(&client);
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
    metrics_page_append(health, config, &page);
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

/* The status of a request with the key "key". */
static int status_with_key(void) {
    static const char asked[] = REQUEST("/batches/b/status", KEYS "Connection: close\r\n");
    char statuses[32];
    int fd = dial_port(http_server_port(server));
    CHECK(send(fd, asked, sizeof asked - 1, 0) == sizeof asked - 1);
    read_statuses(fd, statuses, sizeof statuses);
    close(fd);
    return atoi(statuses);
}

/* Of two reloads side by side the one that began first may have read a key that is revoked since.
 */
static void a_reload_that_began_earlier_brings_no_revoked_key_back(void) {
    struct err err = {0};
    if (!start()) {
        CHECK(server);
        return;
    }
    CHECK_INT(status_with_key(), 503); /* the database is away */
    uint64_t earlier = api_begin_admission(api), later = api_begin_admission(api);
    setenv("HULEEDU_INTERNAL_API_KEY", "other", 1);
    struct config *revoked = config_load("config.lua", &err);
    CHECK_OK(revoked && api_admit(api, later, revoked, &err), &err);
    CHECK_INT(status_with_key(), 401);
    CHECK_OK(api_admit(api, earlier, config, &err), &err);
    CHECK_INT(status_with_key(), 401);
    CHECK_OK(api_admit(api, api_begin_admission(api), config, &err), &err);
    CHECK_INT(status_with_key(), 503);
    config_unref(revoked);
    stop();
}

/* A certificate of the authority, with its key, as "server.pem" and "server.key". */
static void write_certificate(const struct identity *authority, const char *folder) {
    struct identity made = identity_make(
        &(struct identity_wish){"server", "DNS:localhost", "serverAuth", -60, 86400, authority});
    identity_write(&made, NULL, folder, "server");
    identity_free(&made);
}

/* The settings of the listener alone. */
static struct certificates_of served(char paths[3][64]) {
    static struct config settings = {.refs = 1}; /* never freed: the test has the reference */
    settings.http.tls = (struct config_tls){.certificate = paths[0],
                                            .key = paths[1],
                                            .client_ca = "",
                                            .client_certificates = "required",
                                            .min_version = "1.2"};
    return certificates_of_http(&settings);
}

static bool start_with_tls(const struct identity *authority, const char *folder,
                           char paths[3][64]) {
    static const char *const names[3] = {"server.pem", "server.key", "ca.pem"};
    struct err err = {0};
    identity_write(authority, NULL, folder, "ca");
    write_certificate(authority, folder);
    for (size_t i = 0; i < 3; i++) {
        snprintf(paths[i], 64, "%s/%s", folder, names[i]);
    }
    listener = served(paths);
    certificates = certificates_create(&listener, &err);
    trust = tls_client_context(&(struct tls_options){.ca = paths[2]}, &err);
    CHECK_OK(certificates && trust, &err);
    return certificates && trust && start();
}

static void stop_with_tls(struct identity *authority, const char *folder) {
    char command[64];
    stop();
    certificates_destroy(certificates);
    certificates = NULL;
    tls_context_unref(trust);
    trust = NULL;
    identity_free(authority);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CHECK(system(command) == 0);
}

static void replaces_certificates_under_load(void) {
    char folder[] = "/tmp/test_http_server_XXXXXX", paths[3][64];
    pthread_t threads[CLIENTS];
    struct err err = {0};
    struct identity authority =
        identity_make(&(struct identity_wish){"CA", NULL, "CA", -60, 86400, NULL});
    wrong = 0;
    if (!mkdtemp(folder) || !start_with_tls(&authority, folder, paths)) {
        CHECK(server);
        return;
    }
    for (intptr_t i = 0; i < CLIENTS; i++) {
        pthread_create(&threads[i], NULL, be_client, (void *)i);
    }
    for (int i = 0; i < REPLACEMENTS; i++) {
        struct buffer json = {0};
        write_certificate(&authority, folder);
        CHECK_OK(certificates_replace(certificates, &listener, &err), &err);
        certificates_report(certificates, &json);
        CHECK_HAS(json.data, "\"names\":\"localhost\"");
        buffer_free(&json);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_INT(wrong, 0);
    stop_with_tls(&authority, folder);
}

/* Of two reloads side by side the one that began first may have read a certificate, or a CA of
 * clients, that is revoked since. */
static void a_reload_that_began_earlier_brings_no_former_certificate_back(void) {
    static struct config without = {
        .refs = 1, /* never freed: the test has the reference */
        .http.tls = {"", "", "", .client_certificates = "required", .min_version = "1.2"}};
    char folder[] = "/tmp/test_http_server_XXXXXX", paths[3][64];
    struct err err = {0};
    struct identity authority =
        identity_make(&(struct identity_wish){"CA", NULL, "CA", -60, 86400, NULL});
    if (!mkdtemp(folder) || !start_with_tls(&authority, folder, paths)) {
        CHECK(server);
        return;
    }
    struct certificates_of former = listener, later = certificates_of_http(&without);
    former.turn = 1;
    later.turn = 2;
    CHECK_OK(certificates_replace(certificates, &later, &err), &err);
    CHECK(!certificates_take(certificates));
    CHECK_OK(certificates_replace(certificates, &former, &err), &err);
    CHECK(!certificates_take(certificates));
    former.turn = 3;
    CHECK_OK(certificates_replace(certificates, &former, &err), &err);
    struct tls_context *context = certificates_take(certificates);
    CHECK(context);
    tls_context_unref(context);
    stop_with_tls(&authority, folder);
}

static _Atomic bool stopped;

/* Whole responses or none: accepted requests get their whole responses. */
static void *ask_until_stopped(void *port) {
    char statuses[128];
    while (!atomic_load(&stopped)) {
        int fd = dial_port((int)(intptr_t)port);
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
        fd = dial_port((int)port);
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

/* A poke asks for a turn that the next one looks for: WAIT_UNTIL would poke once too often. */
static bool poke_until_it_turns(struct http_server *poked) {
    for (int i = 0; i < 10000; i++) {
        if (http_server_poke(poked)) {
            return true;
        }
        usleep(1000);
    }
    return false;
}

static void finds_a_loop_that_hangs(void) {
    struct err err = {0};
    struct http_options options = {.address = {.settings = "http", .host = "127.0.0.1"},
                                   .loops = 1,
                                   .threads = 1,
                                   .max_connections = 8,
                                   .request_timeout_ms = 10000,
                                   .keep_alive_timeout_ms = 5000,
                                   .site = {NULL, plan_slowly}};
    struct http_server *poked = http_server_start(&options, &err);
    CHECK_OK(poked != NULL, &err);
    http_server_accept(poked);
    CHECK(poke_until_it_turns(poked));
    pthread_mutex_lock(&plan_lock);
    int fd = dial_port(http_server_port(poked));
    CHECK(send(fd, pipeline, sizeof pipeline - 1, MSG_NOSIGNAL) > 0);
    WAIT_UNTIL(atomic_load(&plans));
    http_server_poke(poked);
    CHECK(!http_server_poke(poked));
    pthread_mutex_unlock(&plan_lock);
    CHECK(poke_until_it_turns(poked));
    close(fd);
    CHECK(http_server_stop(poked, INT64_MAX));
}

static const struct test_case cases[] = {
    {"finds a loop that hangs", finds_a_loop_that_hangs},
    {"answers many clients at once", answers_many_clients_at_once},
    {"replaces scripts under load", replaces_scripts_under_load},
    {"a reload that began earlier brings no revoked key back",
     a_reload_that_began_earlier_brings_no_revoked_key_back},
    {"replaces certificates under load", replaces_certificates_under_load},
    {"a reload that began earlier brings no former certificate back",
     a_reload_that_began_earlier_brings_no_former_certificate_back},
    {"stops under load", stops_under_load},
};

TEST_MAIN(cases)
