/* connection_live: a connection that a live stream (live.h) writes to. */
#include "connection.h"

#include "connection_private.h"
#include "live.h"

/* Has the connection written to by its loop. Any thread. */
static void connection_on_news(void *context) {
    struct connection *connection = context;
    loop_post_news(connection->loop, connection);
}

void connection_go_live(struct connection *connection) {
    connection->live = connection->response.live;
    connection->response.live = NULL;
    connection_release_response(connection);
    connection_release_input(connection);
    loop_set_state(connection->loop, connection, CONNECTION_LIVE);
    live_reader_join(connection->live, connection_on_news, connection);
}

void connection_leave_live(struct connection *connection) {
    live_reader_leave(connection->live);
    live_message_unref(connection->message);
    connection->live = NULL;
    connection->message = NULL;
}

/* False: no room now, or the connection is gone. */
static bool connection_write_message(struct connection *connection) {
    struct live_message *message = connection->message;
    while (connection->message_written < message->len) {
        size_t sent;
        struct iovec rest = {message->bytes + connection->message_written,
                             message->len - connection->message_written};
        enum tls_result result = transport_write(&connection->transport, &rest, 1, &sent);
        if (result == TLS_DONE) {
            connection->message_written += sent;
            connection->written += sent;
        } else if (result == TLS_WANTS_WRITE || result == TLS_WANTS_READ) {
            connection_await_client(connection, CONNECTION_LIVE_WRITING);
            return false;
        } else {
            loop_close(connection->loop, connection);
            return false;
        }
    }
    live_message_unref(message);
    connection->message = NULL;
    connection->message_written = 0;
    return true;
}

void connection_end_live(struct connection *connection) {
    connection_leave_live(connection);
    loop_forget_news(connection->loop, connection);
    connection_end(connection);
}

static void connection_write_live(struct connection *connection) {
    bool ends = false;
    while (connection->message ||
           (connection->message = live_reader_take(connection->live, &ends))) {
        if (!connection_write_message(connection)) {
            return;
        }
    }
    if (ends) {
        connection_end_live(connection);
    } else {
        loop_set_state(connection->loop, connection, CONNECTION_LIVE);
    }
}

void connection_drive_live(struct connection *connection) {
    if (connection->readable) {
        connection->readable = false;
        if (transport_drop(&connection->transport, LINGER_MAX_BYTES, &connection->dropped_bytes) !=
            TLS_WANTS_READ) {
            loop_close(connection->loop, connection);
            return;
        }
    }
    if (connection->message) {
        connection_write_live(connection);
    }
}

void connection_send_heartbeat(struct connection *connection) {
    connection->message = live_message_heartbeat();
    connection_write_live(connection);
}

void connection_take_news(struct connection *connection) {
    if (connection->live) {
        connection_write_live(connection);
    } else {
        connection_go_on_streaming(connection);
    }
}
