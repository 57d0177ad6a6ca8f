/* transport: the bytes of one connection, with or without TLS. Never blocks; one thread. The
 * results are those of bindings/tls.h. */
#pragma once

#include <sys/uio.h>

#include "bindings/tls.h"

struct transport {
    int fd;                  /* owned */
    struct tls_session *tls; /* NULL: plain */
};

/* From now on the bytes are encrypted; a handshake must follow. False: err. */
bool transport_secure(struct transport *transport, struct tls_context *context, struct err *err);
/* Goes back to plain bytes, for an answer to a client that sent no TLS. */
void transport_unsecure(struct transport *transport);

/* TLS_DONE: *got bytes, and *more: others may be there, beside an end of file. */
enum tls_result transport_read(struct transport *transport, char *to, size_t room, size_t *got,
                               bool *more);
/* Sends the first bytes of the pieces. TLS_DONE: *sent bytes, which may be fewer. After
 * TLS_WANTS_WRITE the next call must send the same bytes. */
enum tls_result transport_write(struct transport *transport, const struct iovec *pieces,
                                size_t count, size_t *sent);
/* The bytes written, encrypted or not, that the client's kernel has not acknowledged. */
size_t transport_untaken(const struct transport *transport);
/* Drops received bytes, encrypted or not, up to *dropped == max. TLS_WANTS_READ: no more have
 * arrived; otherwise they have ended. */
enum tls_result transport_drop(struct transport *transport, size_t max, size_t *dropped);
/* Ends the sent direction: close_notify and a FIN. False: the connection is lost. */
bool transport_end(struct transport *transport);
/* Ends the connection so that the client sees that what it got is not whole: a reset, and no
 * close_notify. transport_close follows. */
void transport_abort(struct transport *transport);
/* Sends close_notify if it can, closes and frees. */
void transport_close(struct transport *transport);

/* The name in the client's verified certificate; NULL: none. The transport's. */
const char *transport_client(const struct transport *transport);
