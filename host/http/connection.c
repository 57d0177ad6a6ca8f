#include "connection.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/xalloc.h"
#include "certificates.h"
#include "connection_private.h"
#include "handshakes.h"
#include "live.h"

#define RESPONSE_PIECES 3 /* the head, the rest of it, the body */
#define MAX_TURNS 64      /* pipelined requests served before other connections */

struct connection *connection_create(struct loop *loop, int fd) {
    struct connection *connection = xcalloc(1, sizeof *connection);
    connection->loop = loop;
    connection->transport.fd = fd;
    connection->state = CONNECTION_FRESH;
    return connection;
}

void connection_release_response(struct connection *connection) {
    live_reader_leave(connection->response.live);
    response_release(&connection->response);
    free(connection->head);
    connection->head = NULL;
    connection->head_len = 0;
    buffer_free(&connection->piece);
    connection->piece_written = 0;
}

void connection_release_input(struct connection *connection) {
    if (connection->input) {
        loop_give_buffer(connection->loop, connection->input);
    }
    connection->input = NULL;
    connection->len = connection->scanned = 0;
}

/* Ends a request whose body did not come. */
static void connection_release_receiving(struct connection *connection) {
    if (connection->receiving) {
        exchange_drop(connection->receiving);
        loop_give_exchange(connection->loop, connection->receiving);
        connection->receiving = NULL;
    }
}

void connection_destroy(struct connection *connection) {
    connection_release_receiving(connection);
    connection_release_response(connection);
    connection_release_input(connection);
    transport_close(&connection->transport);
    free(connection);
}

/* ---- closing ------------------------------------------------------------------------------ */

void connection_end(struct connection *connection) {
    connection_release_response(connection);
    connection_release_input(connection);
    if (connection->at_end || !transport_end(&connection->transport)) {
        loop_close(connection->loop, connection);
        return;
    }
    loop_set_state(connection->loop, connection, CONNECTION_LINGERING);
}

static void connection_drop_input(struct connection *connection) {
    if (transport_drop(&connection->transport, LINGER_MAX_BYTES, &connection->dropped_bytes) !=
        TLS_WANTS_READ) {
        loop_close(connection->loop, connection);
    }
}

/* ---- writing ------------------------------------------------------------------------------ */

/* Fills pieces with the unwritten rest of head and body; returns their count. */
static size_t connection_unwritten(const struct connection *connection,
                                   struct iovec pieces[RESPONSE_PIECES]) {
    const struct slice parts[RESPONSE_PIECES] = {{connection->head, connection->head_len},
                                                 response_tail(&connection->response),
                                                 response_body(&connection->response)};
    size_t written = connection->written, count = 0;
    for (size_t i = 0; i < RESPONSE_PIECES; i++) {
        size_t done = written < parts[i].len ? written : parts[i].len;
        if (done < parts[i].len) {
            pieces[count++] = (struct iovec){(char *)parts[i].data + done, parts[i].len - done};
        }
        written -= done;
    }
    return count;
}

/* The bytes written less those that wait in the kernel: below 0 while it has some of the response
 * before, or of TLS. epoll reports a socket's room only once a third of a buffer of megabytes is
 * free, which a steady reader may not reach within its deadline. */
static int64_t connection_taken(const struct connection *connection) {
    return (int64_t)connection->written - (int64_t)transport_untaken(&connection->transport);
}

bool connection_await_client(struct connection *connection, enum connection_state state) {
    int64_t taken = connection_taken(connection);
    if (connection->state == state && taken - connection->taken < PROGRESS_BYTES) {
        return false;
    }
    connection->taken = taken;
    loop_set_state(connection->loop, connection, state);
    return true;
}

/* True: the response is written. False: the socket is full, or the connection is gone. */
static bool connection_write(struct connection *connection) {
    struct iovec pieces[RESPONSE_PIECES];
    size_t count, sent;
    while ((count = connection_unwritten(connection, pieces)) > 0) {
        enum tls_result result = transport_write(&connection->transport, pieces, count, &sent);
        if (result == TLS_DONE) {
            connection->written += sent;
        } else if (result == TLS_WANTS_WRITE || result == TLS_WANTS_READ) {
            connection_await_client(connection, CONNECTION_WRITING);
            return false;
        } else {
            loop_close(connection->loop, connection);
            return false;
        }
    }
    if (connection->response.live) {
        connection_go_live(connection);
        return false;
    }
    return connection_finish_response(connection);
}

bool connection_finish_response(struct connection *connection) {
    if (connection->response.close) {
        connection_end(connection);
        return false;
    }
    connection_release_response(connection);
    loop_set_state(connection->loop, connection, CONNECTION_IDLE);
    return true;
}

void connection_take_response(struct connection *connection, const struct exchange *exchange) {
    char head[RESPONSE_HEAD_BYTES];
    connection->response = exchange->response;
    connection->written = 0;
    connection->head_len = response_format_head(&connection->response, exchange->correlation_id,
                                                loop_date(connection->loop), head);
    connection->head = xstrndup(head, connection->head_len); /* idle connections have none */
}

bool connection_write_response(struct connection *connection, struct exchange *exchange) {
    connection_take_response(connection, exchange);
    loop_give_exchange(connection->loop, exchange);
    return connection_write(connection);
}

void connection_turn_away(struct connection *connection) {
    struct exchange *exchange = loop_take_exchange(connection->loop);
    struct iovec pieces[RESPONSE_PIECES];
    size_t sent;
    exchange->client = NULL;
    exchange_refuse(loop_shared(connection->loop)->exchanges, exchange,
                    (struct refusal){503, unavailable_message(UNAVAILABLE_CONNECTIONS)});
    connection_take_response(connection, exchange);
    loop_give_exchange(connection->loop, exchange);
    size_t count = connection_unwritten(connection, pieces);
    if (transport_write(&connection->transport, pieces, count, &sent) != TLS_DONE) {
        log_debug("a client above the connection limit closed before its 503");
    }
}

/* ---- requests ----------------------------------------------------------------------------- */

/* A name may have been taken out of the settings since the handshake. */
static bool connection_is_certified(const struct connection *connection) {
    struct tls_context *present = certificates_take(loop_shared(connection->loop)->certificates);
    bool fits = present && tls_session_fits(connection->transport.tls, present);
    tls_context_unref(present);
    return fits;
}

static struct exchange *connection_take_exchange(struct connection *connection) {
    struct exchange *exchange = loop_take_exchange(connection->loop);
    exchange->client = transport_client(&connection->transport);
    exchange->is_certified = exchange->client && connection_is_certified(connection);
    exchange->is_encrypted = connection->transport.tls != NULL;
    return exchange;
}

bool connection_refuse(struct connection *connection, struct refusal refusal) {
    struct exchange *exchange = connection_take_exchange(connection);
    exchange_refuse(loop_shared(connection->loop)->exchanges, exchange, refusal);
    return connection_write_response(connection, exchange);
}

void connection_use_input(struct connection *connection, size_t len) {
    connection->len -= len;
    connection->scanned = 0;
    if (connection->len > 0) {
        memmove(connection->input, connection->input + len, connection->len);
    } else {
        connection_release_input(connection);
    }
}

size_t connection_read(struct connection *connection, struct room room, bool *gone) {
    size_t got;
    bool more;
    *gone = false;
    if (!connection->readable || connection->at_end) {
        return 0;
    }
    enum tls_result result =
        transport_read(&connection->transport, room.to, room.bytes, &got, &more);
    if (result == TLS_DONE) {
        connection->readable = more || connection->hung_up;
        return got;
    }
    connection->readable = result == TLS_YIELDS || result == TLS_WANTS_WRITE;
    connection->at_end = result == TLS_CLOSED;
    if (result == TLS_FAILED) {
        loop_close(connection->loop, connection);
    }
    *gone = result == TLS_FAILED ||
            (result == TLS_YIELDS && !loop_requeue(connection->loop, connection));
    return 0;
}

/* Has the connection write what its body_stream has. On the worker's thread. */
static void connection_on_piece(struct exchange *exchange) {
    loop_post_news(exchange->connection->loop, exchange->connection);
}

void connection_submit(struct connection *connection, struct exchange *exchange) {
    exchange->connection = connection;
    exchange->on_piece = connection_on_piece;
    connection->exchange = exchange;
    loop_set_state(connection->loop, connection, CONNECTION_BUSY);
    workers_submit(loop_shared(connection->loop)->workers, exchange); /* now owned by the worker */
}

/* ---- serving ------------------------------------------------------------------------------ */

/* Serves the head that the input begins with. True: go on. False: a worker has it, or as
 * connection_write. */
static bool connection_serve(struct connection *connection, size_t head_len) {
    const struct loop_shared *shared = loop_shared(connection->loop);
    struct exchange *exchange = connection_take_exchange(connection);
    if (exchange_plan(shared->exchanges, exchange, (struct slice){connection->input, head_len})) {
        connection_use_input(connection, head_len);
        return connection_write_response(connection, exchange);
    }
    connection->exchange_len = head_len;
    if (exchange_awaits_body(exchange)) {
        return connection_begin_body(connection, exchange);
    }
    connection_submit(connection, exchange);
    return false;
}

void connection_resume(struct connection *connection) {
    struct exchange *exchange = connection->exchange;
    connection->exchange = NULL;
    if (!exchange->answered) {
        loop_give_exchange(connection->loop, exchange);
        metric_add(loop_shared(connection->loop)->abandoned, 1);
        loop_close(connection->loop, connection);
        return;
    }
    connection_use_input(connection, connection->exchange_len);
    if (exchange_has_streamed(exchange) ? connection_resume_stream(connection, exchange)
                                        : connection_write_response(connection, exchange)) {
        connection_drive(connection);
    }
}

void connection_abandon(struct connection *connection) {
    if (connection->exchange) {
        atomic_store_explicit(&connection->exchange->abandoned, true, memory_order_relaxed);
        connection_stop_stream(connection, BODY_STREAM_CLIENT_LEFT);
    }
}

/* ---- reading ------------------------------------------------------------------------------ */

/* Reads a head. */
static bool connection_read_more(struct connection *connection, bool *gone) {
    *gone = false;
    if (!connection->readable || connection->at_end) {
        return false;
    }
    if (!connection->input) {
        connection->input = loop_take_buffer(connection->loop);
    }
    struct room room = {connection->input + connection->len,
                        REQUEST_MAX_HEAD_BYTES - connection->len};
    size_t got = connection_read(connection, room, gone);
    if (*gone) {
        return false;
    }
    connection->len += got;
    if (connection->len == 0) {
        connection_release_input(connection);
    }
    return got > 0;
}

/* RFC 9112 2.2: empty lines before a request are ignored. */
static void connection_skip_empty_lines(struct connection *connection) {
    size_t len = 0;
    while (len + 1 < connection->len && memcmp(connection->input + len, "\r\n", 2) == 0) {
        len += 2;
    }
    if (len > 0) {
        connection_use_input(connection, len);
    }
}

/* Reads and serves one request. False: it waits, or the connection is gone. */
static bool connection_take_request(struct connection *connection) {
    for (;;) {
        bool bad, gone;
        connection_skip_empty_lines(connection);
        size_t from = connection->scanned;
        size_t head_len = 0;
        struct slice input = {connection->input, connection->len};
        if (from < input.len) {
            head_len = request_scan(input, from, &bad);
            connection->scanned = input.len;
            if (head_len > 0 && bad) {
                return connection_refuse(connection, (struct refusal){400, "Invalid line end"});
            }
        }
        if (head_len > 0) {
            return connection_serve(connection, head_len);
        }
        if (input.len == REQUEST_MAX_HEAD_BYTES) {
            return connection_refuse(connection, request_too_large(input));
        }
        if (!connection_read_more(connection, &gone)) {
            if (!gone && connection->at_end) {
                loop_close(connection->loop, connection);
            } else if (!gone && connection->len > 0 && connection->state != CONNECTION_READING) {
                loop_set_state(connection->loop, connection, CONNECTION_READING);
            }
            return false;
        }
    }
}

/* ---- driving ------------------------------------------------------------------------------ */

void connection_drive(struct connection *connection) {
    for (int turn = 0; turn < MAX_TURNS; turn++) {
        bool go_on = false;
        switch (connection->state) {
        case CONNECTION_HANDSHAKE:
            go_on = connection_shake_hands(connection);
            break;
        case CONNECTION_FRESH:
        case CONNECTION_READING:
        case CONNECTION_IDLE:
            go_on = connection->receiving ? connection_receive_body(connection)
                                          : connection_take_request(connection);
            break;
        case CONNECTION_WRITING:
            go_on = connection_write(connection);
            break;
        case CONNECTION_STREAMING:
            go_on = connection_write_stream(connection);
            break;
        case CONNECTION_LIVE:
        case CONNECTION_LIVE_WRITING:
            connection_drive_live(connection);
            break;
        case CONNECTION_LINGERING:
            connection_drop_input(connection);
            break;
        case CONNECTION_BUSY:
        case CONNECTION_STATES:
            break;
        }
        if (!go_on) {
            return;
        }
    }
    loop_requeue(connection->loop, connection);
}

static void connection_refuse_late(struct connection *connection) {
    static const struct refusal late = {408, "The request did not come in time"};
    struct exchange *exchange = connection->receiving;
    if (exchange) {
        connection->receiving = NULL;
        exchange_refuse_body(loop_shared(connection->loop)->exchanges, exchange, late);
        connection_write_response(connection, exchange);
    } else {
        connection_refuse(connection, late);
    }
}

/* Whether the client has taken enough of the kernel's bytes for a new deadline. */
static bool connection_is_taken_from(struct connection *connection) {
    return (connection->state == CONNECTION_WRITING || connection->state == CONNECTION_STREAMING ||
            connection->state == CONNECTION_LIVE_WRITING) &&
           connection_await_client(connection, connection->state);
}

void connection_expire(struct connection *connection) {
    if (connection_is_taken_from(connection)) {
        return;
    }
    if (connection->state == CONNECTION_READING) {
        metric_add(loop_shared(connection->loop)->timed_out, 1);
        connection_refuse_late(connection);
    } else if (connection->state == CONNECTION_STREAMING) {
        connection_stop_stream(connection, BODY_STREAM_SLOW_CLIENT);
    } else if (connection->state == CONNECTION_LIVE) {
        connection_send_heartbeat(connection);
    } else {
        if (connection->state == CONNECTION_LIVE_WRITING) {
            live_reader_count_slow(connection->live);
        }
        if (connection->state == CONNECTION_HANDSHAKE) {
            connection_count_failure(connection, HANDSHAKE_TIMEOUT,
                                     "it did not end within http.handshake_timeout_ms");
        }
        loop_close(connection->loop, connection);
    }
}
