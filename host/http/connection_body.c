/* connection_body: receives the body of a request, after its head, into the memory of its exchange.
 */
#include "connection_private.h"

/* RFC 9110 10.1.1. False: the socket has no room for the line, though the client waits for it: the
 * connection is destroyed. */
static bool connection_send_continue(struct connection *connection) {
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct iovec piece = {(char *)line, sizeof line - 1};
    size_t sent;
    bool good = transport_write(&connection->transport, &piece, 1, &sent) == TLS_DONE &&
                sent == piece.iov_len;
    if (!good) {
        loop_close(connection->loop, connection);
    }
    return good;
}

/* Moves the part of the body that came with the head out of the input: what stays is the head and
 * what follows the body. */
static void connection_move_body(struct connection *connection, struct exchange *exchange) {
    size_t head_len = connection->exchange_len, there = connection->len - head_len;
    size_t len = exchange_lacks_bytes(exchange);
    len = len < there ? len : there;
    char *from = connection->input + head_len;
    memcpy(exchange->body.data, from, len);
    exchange->body.len = len;
    memmove(from, from + len, there - len);
    connection->len -= len;
}

/* There is no room for the body of the exchange. */
static bool connection_refuse_body(struct connection *connection, struct exchange *exchange) {
    const struct refusal refusal = {503, unavailable_message(UNAVAILABLE_BODIES)};
    exchange_refuse_body(loop_shared(connection->loop)->exchanges, exchange, refusal);
    connection_use_input(connection, connection->exchange_len);
    return connection_write_response(connection, exchange);
}

bool connection_begin_body(struct connection *connection, struct exchange *exchange) {
    bool waits = exchange->request.fields[FIELD_EXPECT].data && !exchange->request.is_1_0;
    if (!body_memory_take(&exchange->body, loop_shared(connection->loop)->bodies,
                          (size_t)exchange->request.body_bytes)) {
        return connection_refuse_body(connection, exchange);
    }
    connection->receiving = exchange;
    connection_move_body(connection, exchange);
    if (waits && exchange->body.len == 0 && !connection_send_continue(connection)) {
        return false;
    }
    if (connection->state != CONNECTION_READING) { /* one time limit for head and body */
        loop_set_state(connection->loop, connection, CONNECTION_READING);
    }
    return true;
}

static bool connection_read_body(struct connection *connection, struct exchange *exchange,
                                 bool *gone) {
    struct body_memory *body = &exchange->body;
    struct room room = {body->data + body->len, exchange_lacks_bytes(exchange)};
    size_t got = connection_read(connection, room, gone);
    if (!*gone) {
        exchange->body.len += got;
    }
    return got > 0;
}

bool connection_receive_body(struct connection *connection) {
    struct exchange *exchange = connection->receiving;
    bool gone;
    if (exchange_lacks_bytes(exchange) == 0) {
        connection->receiving = NULL;
        exchange_end_body(loop_shared(connection->loop)->exchanges, exchange);
        connection_submit(connection, exchange);
        return false;
    }
    if (connection_read_body(connection, exchange, &gone)) {
        return true;
    }
    if (!gone && connection->at_end) {
        loop_close(connection->loop, connection);
    }
    return false;
}
