/* connection_stream: writes a response whose body a worker makes meanwhile (body_stream.h). */
#include "connection_private.h"

#include <stdlib.h>

/* The exchange's response does not change any more: its worker only makes the body. */
static void connection_stream_begin(struct connection *connection,
                                    const struct exchange *exchange) {
    connection_take_response(connection, exchange);
    buffer_append(&connection->piece, connection->head, connection->head_len);
    buffer_append_slice(&connection->piece, response_tail(&connection->response));
    free(connection->head);
    connection->head = NULL;
    connection->head_len = 0;
}

/* Without chunks only a reset shows that the body is not whole. */
static void connection_stream_break(struct connection *connection) {
    transport_abort(&connection->transport);
    loop_close(connection->loop, connection);
}

void connection_stop_stream(struct connection *connection, enum body_stream_end end) {
    struct body_stream *stream = connection->response.body_stream;
    if (!stream || connection->lost) {
        return;
    }
    bool was_whole = body_stream_state(stream) == BODY_STREAM_WHOLE;
    body_stream_stop(stream, end);
    if (!connection->exchange) {
        if (was_whole) { /* so the worker has not reported it */
            body_stream_report_lost(stream);
        }
        connection_stream_break(connection);
        return;
    }
    connection->lost = true;
    if (connection->state != CONNECTION_BUSY) {
        loop_set_state(connection->loop, connection, CONNECTION_BUSY);
    }
}

static bool connection_stream_is_whole(const struct connection *connection) {
    return body_stream_state(connection->response.body_stream) == BODY_STREAM_WHOLE;
}

/* All that there is was written. */
static bool connection_stream_pause(struct connection *connection) {
    if (!connection->exchange && !connection_stream_is_whole(connection) &&
        !connection->response.chunked) {
        connection_stream_break(connection);
        return false;
    }
    if (!connection->exchange) { /* chunks without their end show that the body is not whole */
        return connection_finish_response(connection);
    }
    if (connection->state != CONNECTION_BUSY) {
        loop_set_state(connection->loop, connection, CONNECTION_BUSY);
    }
    return false;
}

bool connection_write_stream(struct connection *connection) {
    struct buffer *piece = &connection->piece;
    for (;;) {
        size_t sent;
        if (connection->piece_written == piece->len) {
            connection->piece_written = 0;
            if (!body_stream_take(connection->response.body_stream, piece)) {
                return connection_stream_pause(connection);
            }
        }
        struct iovec rest = {piece->data + connection->piece_written,
                             piece->len - connection->piece_written};
        enum tls_result result = transport_write(&connection->transport, &rest, 1, &sent);
        if (result == TLS_DONE) {
            connection->piece_written += sent;
            connection->written += sent;
        } else if (result == TLS_WANTS_WRITE || result == TLS_WANTS_READ) {
            connection_await_client(connection, CONNECTION_STREAMING);
            return false;
        } else {
            connection_stop_stream(connection, BODY_STREAM_CLIENT_LEFT);
            return false;
        }
    }
}

void connection_go_on_streaming(struct connection *connection) {
    if (!connection->exchange || connection->lost) {
        return;
    }
    if (!connection->response.body_stream) {
        connection_stream_begin(connection, connection->exchange);
    }
    if (connection->state != CONNECTION_STREAMING) { /* else the socket is full */
        connection_write_stream(connection);
    }
}

bool connection_resume_stream(struct connection *connection, struct exchange *exchange) {
    loop_forget_news(connection->loop, connection);
    if (!connection->response.body_stream) {
        connection_stream_begin(connection, exchange);
    }
    loop_give_exchange(connection->loop, exchange);
    if (connection->lost) {
        connection_stream_break(connection);
        return false;
    }
    connection->response.close =
        connection->response.close || !connection_stream_is_whole(connection);
    return connection_write_stream(connection);
}
