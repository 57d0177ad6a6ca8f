#include "transport.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

#define RECORD_BYTES 16384 /* the largest of TLS (RFC 8446 5.1) */

bool transport_secure(struct transport *transport, struct tls_context *context, struct err *err) {
    transport->tls = tls_session_create(context, transport->fd, NULL, err);
    return transport->tls != NULL;
}

void transport_unsecure(struct transport *transport) {
    tls_session_destroy(transport->tls);
    transport->tls = NULL;
}

/* Of a failed call on the socket. */
static enum tls_result transport_result(enum tls_result waits) {
    return errno == EAGAIN ? waits : TLS_FAILED;
}

static enum tls_result transport_note(enum tls_result result, const struct err *err) {
    if (result == TLS_FAILED) { /* after the handshake: the client is at fault, or gone */
        log_debug("TLS session failed", LOG_TEXT("error", err->text));
    }
    return result;
}

enum tls_result transport_read(struct transport *transport, char *to, size_t room, size_t *got,
                               bool *more) {
    if (transport->tls) {
        struct err err;
        enum tls_result result = tls_session_read(transport->tls, to, room, got, &err);
        *more = tls_session_may_have_more(transport->tls);
        return transport_note(result, &err);
    }
    ssize_t received = TEMP_FAILURE_RETRY(recv(transport->fd, to, room, 0));
    if (received < 0) {
        return transport_result(TLS_WANTS_READ);
    }
    *got = (size_t)received;
    *more = *got == room; /* a short read leaves the socket empty */
    return received == 0 ? TLS_CLOSED : TLS_DONE;
}

/* One record of the first bytes. Copies two pieces, so that head and body are one record. */
static enum tls_result transport_write_record(struct tls_session *session,
                                              const struct iovec *pieces, size_t count,
                                              size_t *sent) {
    char joined[RECORD_BYTES];
    struct err err;
    const char *from = pieces[0].iov_base;
    size_t len = pieces[0].iov_len;
    if (count > 1 && len < sizeof joined) {
        size_t room = sizeof joined - len;
        size_t more = pieces[1].iov_len < room ? pieces[1].iov_len : room;
        memcpy(joined, from, len);
        memcpy(joined + len, pieces[1].iov_base, more);
        from = joined;
        len += more;
    }
    return transport_note(tls_session_write(session, from, len, sent, &err), &err);
}

enum tls_result transport_write(struct transport *transport, const struct iovec *pieces,
                                size_t count, size_t *sent) {
    if (transport->tls) {
        return transport_write_record(transport->tls, pieces, count, sent);
    }
    struct msghdr message = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = count};
    ssize_t written = TEMP_FAILURE_RETRY(sendmsg(transport->fd, &message, MSG_NOSIGNAL));
    if (written < 0) {
        return transport_result(TLS_WANTS_WRITE);
    }
    *sent = (size_t)written;
    return TLS_DONE;
}

size_t transport_untaken(const struct transport *transport) {
    int bytes = 0; /* tcp(7): not sent, or not acknowledged */
    if (ioctl(transport->fd, SIOCOUTQ, &bytes) != 0) {
        log_debug("the send buffer of a connection is unknown", LOG_TEXT("error", strerror(errno)));
    }
    return (size_t)bytes;
}

enum tls_result transport_drop(struct transport *transport, size_t max, size_t *dropped) {
    char bytes[4096];
    ssize_t got;
    do {
        got = TEMP_FAILURE_RETRY(recv(transport->fd, bytes, sizeof bytes, 0));
        *dropped += got > 0 ? (size_t)got : 0;
    } while (got > 0 && *dropped < max);
    return got < 0 ? transport_result(TLS_WANTS_READ) : TLS_CLOSED;
}

static void transport_notify_close(struct transport *transport) {
    if (transport->tls && tls_session_end(transport->tls) == TLS_WANTS_WRITE) {
        log_debug("a client's socket had no room for close_notify");
    }
}

bool transport_end(struct transport *transport) {
    transport_notify_close(transport);
    transport_unsecure(transport); /* what follows is dropped unread */
    return shutdown(transport->fd, SHUT_WR) == 0;
}

void transport_abort(struct transport *transport) {
    const struct linger reset = {.l_onoff = 1, .l_linger = 0}; /* socket(7) */
    transport_unsecure(transport);
    if (setsockopt(transport->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) != 0) {
        log_debug("a connection could not be reset", LOG_TEXT("error", strerror(errno)));
    }
}

void transport_close(struct transport *transport) {
    transport_notify_close(transport);
    transport_unsecure(transport);
    close(transport->fd);
}

const char *transport_client(const struct transport *transport) {
    return transport->tls ? tls_session_peer(transport->tls) : NULL;
}
