#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "tls_private.h"

/* Bytes that one call of a server receives at most. OpenSSL reads on over records without content
 * (key updates, tickets): a client that sends only these must not keep the thread. */
#define CALL_MAX_BYTES (64UL * 1024)

/* ---- the socket: OpenSSL's own BIO raises SIGPIPE and reads without a bound -------------------
 */

static int tls_session_send(BIO *bio, const char *from, int len) {
    struct tls_session *session = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t sent = TEMP_FAILURE_RETRY(send(session->fd, from, (size_t)len, MSG_NOSIGNAL));
    if (sent < 0 && errno == EAGAIN) {
        BIO_set_retry_write(bio);
    } else if (sent < 0) {
        session->socket_errno = errno;
    }
    return (int)sent;
}

static int tls_session_receive(BIO *bio, char *to, int room) {
    struct tls_session *session = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (session->budget == 0) {
        session->held_back = true;
        BIO_set_retry_read(bio);
        return -1;
    }
    ssize_t got = TEMP_FAILURE_RETRY(recv(session->fd, to, (size_t)room, 0));
    if (got < 0 && errno == EAGAIN) {
        BIO_set_retry_read(bio);
    } else if (got < 0) {
        session->socket_errno = errno;
    } else {
        size_t used = session->context->is_server ? (size_t)got : 0;
        session->budget -= used < session->budget ? used : session->budget;
        session->at_end = got == 0;
    }
    session->is_drained = got < room;
    return (int)got;
}

static long tls_session_control(BIO *bio, int command, long number, void *pointer) {
    const struct tls_session *session = BIO_get_data(bio);
    (void)number, (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH: /* nothing is kept */
        return 1;
    case BIO_CTRL_EOF:
        return session->at_end;
    default:
        return 0;
    }
}

static BIO_METHOD *tls_session_socket; /* as long as the process */

static void tls_session_make_socket(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "aggregator");
    if (method && BIO_meth_set_write(method, tls_session_send) == 1 &&
        BIO_meth_set_read(method, tls_session_receive) == 1 &&
        BIO_meth_set_ctrl(method, tls_session_control) == 1) {
        tls_session_socket = method;
    }
}

static bool tls_session_connect_socket(struct tls_session *session) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, tls_session_make_socket);
    BIO *bio = tls_session_socket ? BIO_new(tls_session_socket) : NULL;
    if (!bio) {
        return false;
    }
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    SSL_set_bio(session->ssl, bio, bio); /* takes the BIO */
    return true;
}

/* ---- create and destroy -------------------------------------------------------------------- */

/* RFC 9525: the certificate must name the host; a wildcard only as the whole first label. */
static bool tls_session_name_server(struct tls_session *session, const char *name) {
    unsigned char address[16];
    X509_VERIFY_PARAM *verify = SSL_get0_param(session->ssl);
    session->server_name = xstrdup(name);
    X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1) {
        return X509_VERIFY_PARAM_set1_ip_asc(verify, name) == 1;
    }
    return X509_VERIFY_PARAM_set1_host(verify, name, 0) == 1 &&
           SSL_set_tlsext_host_name(session->ssl, name) == 1;
}

struct tls_session *tls_session_create(struct tls_context *context, int fd, const char *server_name,
                                       struct err *err) {
    char why[256];
    struct tls_session *session = xcalloc(1, sizeof *session);
    ERR_clear_error();
    session->context = tls_context_ref(context);
    session->fd = fd;
    session->ssl = SSL_new(context->ssl);
    bool good = session->ssl && SSL_set_app_data(session->ssl, session) == 1 &&
                tls_session_connect_socket(session) &&
                (context->is_server || tls_session_name_server(session, server_name));
    if (!good) {
        err_set(err, ERR_INTERNAL, "OpenSSL cannot create a session: %s", tls_failure_text(why));
        tls_session_destroy(session);
        return NULL;
    }
    if (context->is_server) {
        SSL_set_accept_state(session->ssl);
    } else {
        SSL_set_connect_state(session->ssl);
    }
    return session;
}

void tls_session_destroy(struct tls_session *session) {
    if (session) {
        SSL_free(session->ssl);
        tls_context_unref(session->context);
        free(session->server_name);
        free(session->peer);
        free(session);
    }
}

/* ---- calls ---------------------------------------------------------------------------------- */

static void tls_session_begin(struct tls_session *session) {
    ERR_clear_error(); /* what another library left in the thread's queue */
    session->budget = CALL_MAX_BYTES;
    session->held_back = false;
    session->socket_errno = 0;
}

static enum tls_result tls_session_judge(struct tls_session *session, int result, struct err *err) {
    if (result > 0) {
        return TLS_DONE;
    }
    int code = SSL_get_error(session->ssl, result);
    if (code == SSL_ERROR_WANT_READ) {
        return session->held_back ? TLS_YIELDS : TLS_WANTS_READ;
    }
    if (code == SSL_ERROR_WANT_WRITE) {
        return TLS_WANTS_WRITE;
    }
    if (code == SSL_ERROR_ZERO_RETURN && session->established) {
        return TLS_CLOSED;
    }
    tls_failure_explain(session, code, err);
    return TLS_FAILED;
}

enum tls_result tls_session_handshake(struct tls_session *session, struct err *err) {
    tls_session_begin(session);
    enum tls_result result = tls_session_judge(session, SSL_do_handshake(session->ssl), err);
    session->established = result == TLS_DONE;
    const X509 *peer = result == TLS_DONE ? SSL_get0_peer_certificate(session->ssl) : NULL;
    if (peer) {
        session->peer = tls_names_first(peer);
    }
    return result;
}

enum tls_result tls_session_read(struct tls_session *session, void *to, size_t room, size_t *got,
                                 struct err *err) {
    tls_session_begin(session);
    return tls_session_judge(session, SSL_read_ex(session->ssl, to, room, got), err);
}

bool tls_session_may_have_more(const struct tls_session *session) {
    return !session->is_drained || SSL_pending(session->ssl) > 0 ||
           SSL_has_pending(session->ssl) == 1;
}

enum tls_result tls_session_write(struct tls_session *session, const void *from, size_t len,
                                  size_t *sent, struct err *err) {
    tls_session_begin(session);
    return tls_session_judge(session, SSL_write_ex(session->ssl, from, len, sent), err);
}

/* SSL_shutdown: 0 after it sent close_notify, 1 after it also received one. */
enum tls_result tls_session_end(struct tls_session *session) {
    struct err ignored;
    tls_session_begin(session);
    if (session->failure != TLS_FAILURE_NONE || !session->established) {
        return TLS_FAILED;
    }
    int result = SSL_shutdown(session->ssl);
    return result >= 0 ? TLS_DONE : tls_session_judge(session, result, &ignored);
}

enum tls_failure tls_session_failure(const struct tls_session *session) {
    return session->failure;
}

const char *tls_session_peer(const struct tls_session *session) {
    return session->peer;
}

bool tls_session_fits(const struct tls_session *session, const struct tls_context *context) {
    const X509 *peer = SSL_get0_peer_certificate(session->ssl);
    return context == session->context || !peer || tls_names_admit(context, peer);
}

const char *tls_session_version(const struct tls_session *session) {
    return SSL_get_version(session->ssl);
}
