#include "http_server.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/xalloc.h"
#include "bindings/host_lookup.h"
#include "handshakes.h"
#include "loop.h"

#define LINGER_TIMEOUT_MS 1000
#define LOOKUP_TIMEOUT_MS 5000
#define MIB 1048576
#define BACKLOG 4096          /* the kernel may lower it: net.core.somaxconn */
#define OTHER_DESCRIPTORS 256 /* kept for databases, brokers and files */

struct http_server {
    struct exchanges *exchanges;
    struct body_budget bodies;
    struct loop_shared shared;
    struct loop **loops;
    size_t count, started; /* the last ones of the loops; the first has the listener */
    bool ends;
    int port;
    int listener; /* owned by the first loop */
};

/* ---- the socket --------------------------------------------------------------------------- */

static void http_server_refuse_address(const struct http_address *address, struct err *err) {
    err_set(err, ERR_INPUT, "cannot listen on %s port %d (%s.host, %s.port): %s", address->host,
            address->port, address->settings, address->settings, strerror(errno));
}

static int http_server_try_address(const struct addrinfo *address) {
    int one = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) != 0) {
        int reason = errno;
        close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

/* Accepts an IPv6 address as in a URL: [::1]. */
static void http_server_strip_brackets(const char *from, char *host, size_t size) {
    size_t len = strlen(from);
    bool bracketed = len > 2 && from[0] == '[' && from[len - 1] == ']';
    snprintf(host, size, "%.*s", (int)(bracketed ? len - 2 : len), bracketed ? from + 1 : from);
}

/* A bound socket; -1: the reason is in errno. address: numeric. */
static int http_server_try_text(const char *address, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST};
    struct addrinfo *one = NULL;
    if (getaddrinfo(address, port, &hints, &one) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int fd = http_server_try_address(one), reason = errno;
    freeaddrinfo(one);
    errno = reason;
    return fd;
}

int http_server_bind(const struct http_address *wanted, struct err *err) {
    char port[8], host[256];
    struct host_addresses found;
    snprintf(port, sizeof port, "%d", wanted->port);
    http_server_strip_brackets(wanted->host, host, sizeof host);
    if (!host_lookup(host, clock_monotonic_us() + LOOKUP_TIMEOUT_MS * 1000LL, &found, err)) {
        err_wrap(err, "%s.host", wanted->settings);
        return -1;
    }
    int fd = -1;
    for (size_t i = 0; i < found.count && fd < 0; i++) {
        fd = http_server_try_text(found.items[i], port);
    }
    if (fd < 0) {
        http_server_refuse_address(wanted, err);
    }
    host_addresses_free(&found);
    return fd;
}

/* The socket is bound, or inherited: then it may listen already. Closes it on failure. */
static int http_server_listen(const struct http_address *address, int fd, struct err *err) {
    int one = 1;
    int flags = fcntl(fd, F_GETFL);
    /* Accepted sockets inherit TCP_NODELAY. */
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
        listen(fd, BACKLOG) != 0) {
        http_server_refuse_address(address, err);
        close(fd);
        return -1;
    }
    return fd;
}

static int http_server_port_of(int fd) {
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        return -1;
    }
    /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): getsockname has filled it */
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

/* Lowers the configured number of connections to what RLIMIT_NOFILE allows. */
static size_t http_server_bound_connections(int wanted) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return (size_t)wanted;
    }
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            getrlimit(RLIMIT_NOFILE, &limit);
        }
    }
    size_t room = limit.rlim_cur > 2 * OTHER_DESCRIPTORS ? limit.rlim_cur - OTHER_DESCRIPTORS
                                                         : limit.rlim_cur / 2;
    if (room >= (size_t)wanted) {
        return (size_t)wanted;
    }
    log_warning(
        "HTTP server allows fewer connections than http.max_connections: raise the limit of "
        "open files (ulimit -n)",
        LOG_INT("connections", (int64_t)room), LOG_INT("open_files", (int64_t)limit.rlim_cur));
    return room;
}

/* ---- start and stop ----------------------------------------------------------------------- */

/* One loop's part. */
static size_t http_server_share_of(const struct http_server *server, size_t all) {
    return (all + server->count - 1) / server->count;
}

static void http_server_share(struct http_server *server, const struct http_options *options) {
    size_t connections = http_server_bound_connections(options->max_connections);
    struct loop_shared *shared = &server->shared;
    body_budget_init(&server->bodies, (size_t)options->request_bodies_max_mb * MIB);
    *shared = (struct loop_shared){
        .exchanges = server->exchanges,
        .bodies = &server->bodies,
        .timeout_ms =
            {
                [CONNECTION_HANDSHAKE] = options->handshake_timeout_ms,
                [CONNECTION_FRESH] = options->request_timeout_ms,
                [CONNECTION_READING] = options->request_timeout_ms,
                [CONNECTION_IDLE] = options->keep_alive_timeout_ms,
                [CONNECTION_WRITING] = options->request_timeout_ms,
                [CONNECTION_STREAMING] = options->request_timeout_ms,
                [CONNECTION_LIVE] = options->live_heartbeat_ms,
                [CONNECTION_LIVE_WRITING] = options->request_timeout_ms,
                [CONNECTION_LINGERING] = LINGER_TIMEOUT_MS,
            },
        .max_connections = http_server_share_of(server, connections),
        .max_handshakes = http_server_share_of(server, (size_t)options->max_handshakes),
        .certificates = options->certificates,
        .handshakes = options->certificates ? handshakes_create(options->address.settings) : NULL,
        .open = metric_single(METRIC_GAUGE, "ras_http_connections", "Open client connections."),
        .accepted = metric_single(METRIC_COUNTER, "ras_http_connections_total",
                                  "Client connections accepted."),
        .evicted = metric_single(METRIC_COUNTER, "ras_http_connections_evicted_total",
                                 "Waiting connections closed to make room for new ones."),
        .refused =
            metric_single(METRIC_COUNTER, "ras_http_connections_refused_total",
                          "Connections answered 503: all of http.max_connections were in use."),
        .timed_out = metric_single(METRIC_COUNTER, "ras_http_request_timeouts_total",
                                   "Requests not received in time (answered 408)."),
        .abandoned = metric_single(METRIC_COUNTER, "ras_http_requests_abandoned_total",
                                   "Requests whose client reset the connection while they waited."),
    };
}

static bool http_server_open(struct http_server *server, const struct http_options *options,
                             struct err *err) {
    server->exchanges = exchanges_create(options);
    http_server_share(server, options);
    server->shared.workers =
        workers_start(server->exchanges, options->threads, loop_post_done, err);
    if (!server->shared.workers) {
        return false;
    }
    for (size_t i = 0; i < server->count; i++) {
        server->loops[i] = loop_create(&server->shared, err);
        if (!server->loops[i]) {
            return false;
        }
    }
    const struct http_address *address = &options->address;
    int listener = options->listener > 0 ? options->listener : http_server_bind(address, err);
    listener = listener < 0 ? -1 : http_server_listen(address, listener, err);
    if (listener < 0) {
        return false;
    }
    server->listener = listener;
    server->port = http_server_port_of(listener);
    if (options->listener > 0 && address->port > 0 && address->port != server->port) {
        log_warning("the inherited listening socket has another port than the configuration",
                    LOG_TEXT("settings", address->settings), LOG_INT("port", server->port),
                    LOG_INT("configured", address->port));
    }
    /* The accepting loop starts last: it deals connections out to the others. */
    for (size_t i = server->count; i-- > 0; server->started++) {
        if (!loop_start(server->loops[i], i == 0 ? listener : -1, server->loops, server->count,
                        err)) {
            if (i > 0) {
                close(listener);
            }
            return false;
        }
    }
    return true;
}

struct http_server *http_server_start(const struct http_options *options, struct err *err) {
    struct http_server *server = xcalloc(1, sizeof *server);
    server->count = (size_t)options->loops;
    server->loops = xcalloc(server->count, sizeof(struct loop *));
    if (!http_server_open(server, options, err)) {
        http_server_stop(server, INT64_MAX);
        return NULL;
    }
    return server;
}

int http_server_port(const struct http_server *server) {
    return server->port;
}

int http_server_listener(const struct http_server *server) {
    return server->listener;
}

void http_server_accept(struct http_server *server) {
    loop_accept(server->loops[0]);
}

bool http_server_poke(struct http_server *server) {
    bool turn = true;
    for (size_t i = 0; i < server->count; i++) {
        turn = loop_poke(server->loops[i]) && turn;
    }
    return turn;
}

void http_server_drain(struct http_server *server, const struct http_end *end) {
    struct loop_end loop_end = {end->hands_over, end->until_us};
    if (!server || server->ends) {
        return;
    }
    server->ends = true;
    if (server->exchanges) {
        exchanges_stop(server->exchanges);
    }
    for (size_t i = server->count - server->started; i < server->count; i++) {
        loop_drain(server->loops[i], &loop_end);
        if (i == 0) {
            return; /* it has the listener, and ends the others */
        }
    }
}

bool http_server_await_end(struct http_server *server, int64_t deadline_us) {
    while (server && server->started > 0) {
        if (!loop_join(server->loops[server->count - server->started], deadline_us)) {
            return false;
        }
        server->started--;
    }
    return true;
}

bool http_server_stop(struct http_server *server, int64_t deadline_us) {
    if (!server) {
        return true;
    }
    http_server_drain(server, &(struct http_end){0});
    if (!http_server_await_end(server, deadline_us)) {
        return false;
    }
    if (server->shared.workers) {
        workers_stop(server->shared.workers);
    }
    for (size_t i = 0; i < server->count; i++) {
        loop_destroy(server->loops[i]);
    }
    if (server->exchanges) {
        exchanges_destroy(server->exchanges);
    }
    handshakes_destroy(server->shared.handshakes);
    free(server->loops);
    free(server);
    return true;
}
