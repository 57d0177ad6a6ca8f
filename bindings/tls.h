/* tls: TLS 1.2 and 1.3 by OpenSSL, the only user of that library. A context holds certificates and
 * trust; it is immutable, counted by references, and any thread may use it. A session encrypts one
 * connection over a non-blocking socket, and belongs to one thread at a time.
 *
 *   tls_context.c   files to a context
 *   tls_names.c     which client certificates a server admits, and the names of a certificate
 *   tls_session.c   handshake, read, write, end
 *   tls_failure.c   an error of OpenSSL to a reason and a sentence that says what to do
 *
 * Versions, ciphers and what is off (compression, renegotiation, early data) follow RFC 9325. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct tls_context;
struct tls_session;

enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };

/* Whether a server asks its clients for a certificate. */
enum tls_clients {
    TLS_CLIENTS_ANY,      /* it does not ask */
    TLS_CLIENTS_WANTED,   /* a client may send none; one that is sent must be good */
    TLS_CLIENTS_REQUIRED, /* a handshake without one fails */
};

/* Paths name PEM files; "" and NULL: none. All is copied. */
struct tls_options {
    /* The own certificate, followed by those of the CAs between it and the root; and its key,
     * without a passphrase. A server needs both; a client has both or none. */
    const char *certificate;
    const char *key;
    /* The CAs whose certificates of the peer are accepted. A client without a file accepts those of
     * the system; a server needs it unless clients is TLS_CLIENTS_ANY. */
    const char *ca;
    enum tls_version min_version;
    enum tls_clients clients; /* server */
    /* Server: the client certificates that are admitted: see tls_names.c. None: all of `ca`. */
    const char *const *client_names;
    size_t client_name_count;
    const char *alpn; /* the one protocol of RFC 7301, "http/1.1"; NULL: no ALPN */
};

/* Reads the files. With one reference. NULL: ERR_INPUT names the file and what to do: unreadable,
 * no certificate in it, an encrypted key, a key of another certificate. */
struct tls_context *tls_server_context(const struct tls_options *options, struct err *err);
struct tls_context *tls_client_context(const struct tls_options *options, struct err *err);
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context); /* NULL is allowed */

/* What an operator is told about the own certificate. */
struct tls_certificate {
    int64_t not_after_s;  /* of the one in the file that expires first; Unix time */
    int64_t not_before_s; /* of the first one */
    char subject[256];    /* its names: "api.example.org, 10.0.0.1"; cut */
    char serial[64];      /* hexadecimal */
};
/* Zeros without a certificate. */
const struct tls_certificate *tls_context_certificate(const struct tls_context *context);

/* ---- sessions ------------------------------------------------------------------------------- */

enum tls_result {
    TLS_DONE,        /* something was done: the handshake, one byte or more */
    TLS_WANTS_READ,  /* call again when the socket is readable */
    TLS_WANTS_WRITE, /* call again when the socket is writable, with the same bytes */
    TLS_YIELDS,      /* only a server's read or handshake: bytes are left, call again later */
    TLS_CLOSED,      /* the peer ended its side: close_notify or an end of file */
    TLS_FAILED,      /* err; tls_session_failure has the reason; the session is useless */
};

/* Why a session failed, for counting. */
enum tls_failure {
    TLS_FAILURE_NONE,
    TLS_FAILURE_PLAIN_HTTP,     /* the client speaks HTTP without TLS; the socket is still usable */
    TLS_FAILURE_NOT_TLS,        /* the peer speaks something else */
    TLS_FAILURE_VERSION,        /* no version in common */
    TLS_FAILURE_CIPHER,         /* no cipher, group or signature in common */
    TLS_FAILURE_NO_CERTIFICATE, /* the client sent none */
    TLS_FAILURE_UNKNOWN_CA,     /* of the peer's certificate */
    TLS_FAILURE_EXPIRED,        /* likewise; also not yet valid */
    TLS_FAILURE_NAME,           /* likewise: another host, or a client that is not admitted */
    TLS_FAILURE_CERTIFICATE,    /* likewise: another fault */
    TLS_FAILURE_ALERT,          /* the peer refused: its alert is in the text */
    TLS_FAILURE_LOST,           /* the connection ended or was reset */
    TLS_FAILURE_PROTOCOL,       /* any other error */
    TLS_FAILURES
};

/* Of a connected non-blocking socket, which stays the caller's. Takes a reference. server_name: of
 * a client: the host or address that the server's certificate must name (RFC 9525), also sent as
 * SNI (RFC 6066 3) if it is no address. NULL in a server. NULL: err. */
struct tls_session *tls_session_create(struct tls_context *context, int fd, const char *server_name,
                                       struct err *err);
void tls_session_destroy(struct tls_session *session); /* NULL is allowed; sends nothing */

enum tls_result tls_session_handshake(struct tls_session *session, struct err *err);
/* After the handshake. A TLS_DONE may leave decrypted bytes, which poll(2) does not report: read
 * until TLS_WANTS_READ, or while tls_session_may_have_more. */
enum tls_result tls_session_read(struct tls_session *session, void *to, size_t room, size_t *got,
                                 struct err *err);
/* After a read that was TLS_DONE. False: neither the session nor the socket had more bytes; an end
 * of file may follow. */
bool tls_session_may_have_more(const struct tls_session *session);
/* At most one record (16 KiB) is sent for a call. After TLS_WANTS_WRITE the next call must begin
 * with the same bytes; they may be elsewhere in memory. */
enum tls_result tls_session_write(struct tls_session *session, const void *from, size_t len,
                                  size_t *sent, struct err *err);
/* Sends close_notify; the peer's is not waited for. TLS_DONE, TLS_WANTS_WRITE or TLS_FAILED. */
enum tls_result tls_session_end(struct tls_session *session);

enum tls_failure tls_session_failure(const struct tls_session *session);
/* Of OpenSSL's result of a verification (X509_V_ERR_…, not X509_V_OK), also another library's. */
enum tls_failure tls_failure_of_verification(long result);
/* For metrics: "unknown_ca". A literal. */
const char *tls_failure_name(enum tls_failure failure);
/* The peer's certificate was verified: its name for logs, the first of DNS names, URIs, common
 * name; NULL without a certificate. The session's. */
const char *tls_session_peer(const struct tls_session *session);
/* Whether a context that came later than the session's own accepts the name of that certificate;
 * true without a certificate. */
bool tls_session_fits(const struct tls_session *session, const struct tls_context *context);
/* "TLSv1.3". A literal. */
const char *tls_session_version(const struct tls_session *session);
