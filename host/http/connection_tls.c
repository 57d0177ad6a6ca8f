/* connection_tls: the TLS handshake of a connection. */
#include "connection.h"

#include "base/log.h"
#include "connection_private.h"
#include "handshakes.h"

bool connection_secure(struct connection *connection, struct tls_context *context,
                       struct err *err) {
    socklen_t len = sizeof connection->address;
    if (getpeername(connection->transport.fd, (struct sockaddr *)&connection->address, &len) != 0) {
        log_debug("a client left before its handshake");
    }
    connection->state = CONNECTION_HANDSHAKE;
    return transport_secure(&connection->transport, context, err);
}

void connection_count_failure(struct connection *connection, int reason, const char *error) {
    handshakes_count_failed(loop_shared(connection->loop)->handshakes, reason, error,
                            &connection->address);
}

/* The alert has been sent. A client that speaks plain HTTP is answered in its language. */
static void connection_fail_handshake(struct connection *connection, const char *error) {
    enum tls_failure reason = tls_session_failure(connection->transport.tls);
    connection_count_failure(connection, (int)reason, error);
    if (reason == TLS_FAILURE_PLAIN_HTTP) {
        transport_unsecure(&connection->transport);
        connection_refuse(connection,
                          (struct refusal){400, "This port speaks HTTPS: use https://"});
    } else if (reason == TLS_FAILURE_LOST) {
        loop_close(connection->loop, connection);
    } else {
        connection_end(connection);
    }
}

bool connection_shake_hands(struct connection *connection) {
    struct err err;
    switch (tls_session_handshake(connection->transport.tls, &err)) {
    case TLS_DONE:
        handshakes_count_done(loop_shared(connection->loop)->handshakes, connection->transport.tls);
        loop_set_state(connection->loop, connection, CONNECTION_FRESH);
        connection->readable = true;
        return true;
    case TLS_YIELDS:
        loop_requeue(connection->loop, connection);
        return false;
    case TLS_WANTS_READ:
    case TLS_WANTS_WRITE:
        return false;
    case TLS_CLOSED:
    case TLS_FAILED:
        break;
    }
    connection_fail_handshake(connection, err.text);
    return false;
}

void connection_give_up_handshake(struct connection *connection) {
    connection_count_failure(connection, HANDSHAKE_TOO_MANY,
                             "http.max_handshakes are under way: the oldest is ended");
    loop_close(connection->loop, connection);
}
