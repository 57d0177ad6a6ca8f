/* tls_private: what the files of tls share. */
#pragma once

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "tls.h"

struct tls_context {
    _Atomic int refs;
    SSL_CTX *ssl;
    bool is_server;
    char *ca; /* for errors; "": the system's */
    char **client_names;
    size_t client_name_count;
    unsigned char alpn[64]; /* a length and the protocol; a length of 0: none */
    struct tls_certificate certificate;
};

struct tls_session {
    SSL *ssl;
    struct tls_context *context;
    int fd;
    bool established; /* the handshake is done; after an error OpenSSL does not know it */
    size_t budget;    /* bytes that the present call may still receive */
    bool held_back;   /* the budget was used up */
    bool at_end;      /* recv found an end of file */
    bool is_drained;  /* the last recv left the socket empty */
    int socket_errno; /* of the last recv or send that failed; 0: none */
    enum tls_failure failure;
    char *server_name; /* of a client */
    char *peer;        /* the result of tls_session_peer; NULL: unknown */
    char refused[256]; /* the names of the peer's certificate that was refused */
};

/* ---- tls_names.c ---- */

/* OpenSSL calls it for each certificate of the peer's chain, the peer's own last (depth 0). */
int tls_names_verify(int good, X509_STORE_CTX *store);
/* Whether the context accepts one of the certificate's names, or any name. */
bool tls_names_admit(const struct tls_context *context, const X509 *certificate);
/* Appends the names of a certificate, separated by commas. */
void tls_names_list(const X509 *certificate, char *text, size_t size);
/* The first name, for logs; the caller frees it. */
char *tls_names_first(const X509 *certificate);

/* ---- tls_failure.c ---- */

/* Reads and clears the thread's error queue; sets session->failure and err. code: of
 * SSL_get_error. */
void tls_failure_explain(struct tls_session *session, int code, struct err *err);
/* The oldest error of the queue as text; clears the queue. */
const char *tls_failure_text(char text[256]);
