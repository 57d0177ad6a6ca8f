/* tls_pair: a server and a client of this process that speak TLS over a socket pair, with their
 * certificates; the client may be OpenSSL's own. */
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bindings/tls.h"
#include "certificates.h"
#include "test.h"

#define YEAR_S (365L * 86400)

static char folder[] = "/tmp/test_tls_XXXXXX";

static inline void remove_files(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CHECK(system(command) == 0);
}

/* The path of a file of the folder, as long as the program. */
static inline char *path_of(const char *name) {
    static char paths[64][128];
    char path[128];
    size_t i = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    while (i < 63 && paths[i][0] && strcmp(paths[i], path) != 0) {
        i++;
    }
    strcpy(paths[i], path);
    return paths[i];
}

/* Writes the files that the cases use, once. */
static inline void make_files(void) {
    static bool done;
    if (done) {
        return;
    }
    done = true;
    CHECK(mkdtemp(folder) != NULL);
    atexit(remove_files);
    struct identity ca =
        identity_make(&(struct identity_wish){"test CA", NULL, "CA", -3600, YEAR_S, NULL});
    struct identity middle =
        identity_make(&(struct identity_wish){"middle CA", NULL, "CA", -3600, YEAR_S / 2, &ca});
    struct identity other =
        identity_make(&(struct identity_wish){"other CA", NULL, "CA", -3600, YEAR_S, NULL});
    identity_write(&ca, NULL, folder, "ca");
    identity_write(&other, NULL, folder, "other_ca");
    const struct {
        const char *file;
        struct identity_wish wish;
        const X509 *with;
    } leaves[] = {
        {"server",
         {"ignored", "DNS:localhost,DNS:api.test,IP:127.0.0.1", "serverAuth", -60, YEAR_S, &ca},
         NULL},
        {"chained",
         {"ignored", "DNS:localhost", "serverAuth", -60, YEAR_S, &middle},
         middle.certificate},
        {"unchained", {"ignored", "DNS:localhost", "serverAuth", -60, YEAR_S, &middle}, NULL},
        {"expired", {"ignored", "DNS:localhost", "serverAuth", -YEAR_S, -60, &ca}, NULL},
        {"early", {"ignored", "DNS:localhost", "serverAuth", 3600, YEAR_S, &ca}, NULL},
        {"gateway",
         {"CN is ignored beside DNS", "DNS:gateway.test", "clientAuth", -60, YEAR_S, &ca},
         NULL},
        {"spiffe", {"x", "URI:spiffe://test/gateway", "clientAuth", -60, YEAR_S, &ca}, NULL},
        {"named", {"gateway.test", NULL, "clientAuth", -60, YEAR_S, &ca}, NULL},
        {"impostor", {"gateway.test", "DNS:other.test", "clientAuth", -60, YEAR_S, &ca}, NULL},
        {"foreign", {"gateway.test", "DNS:gateway.test", "clientAuth", -60, YEAR_S, &other}, NULL},
        {"late", {"gateway.test", "DNS:gateway.test", "clientAuth", -YEAR_S, -60, &ca}, NULL},
    };
    for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++) {
        struct identity leaf = identity_make(&leaves[i].wish);
        identity_write(&leaf, leaves[i].with, folder, leaves[i].file);
        identity_free(&leaf);
    }
    identity_free(&ca);
    identity_free(&middle);
    identity_free(&other);
}

static inline struct tls_options options_of(const char *identity, const char *ca) {
    struct tls_options options = {.alpn = "http/1.1"};
    char name[64];
    make_files();
    if (identity) {
        snprintf(name, sizeof name, "%s.pem", identity);
        options.certificate = path_of(name);
        snprintf(name, sizeof name, "%s.key", identity);
        options.key = path_of(name);
    }
    options.ca = ca ? path_of(ca) : NULL;
    return options;
}

/* A server and a client that shake hands over a socket pair. */
struct pair {
    struct tls_context *contexts[2];
    struct tls_session *sessions[2]; /* server, client */
    int fds[2];
    enum tls_result results[2];
    struct err errs[2];
};

static inline void pair_open(struct pair *pair, const struct tls_options *server,
                             const struct tls_options *client, const char *name) {
    *pair = (struct pair){.results = {TLS_WANTS_READ, TLS_WANTS_READ}};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds) == 0);
    pair->contexts[0] = tls_server_context(server, &pair->errs[0]);
    pair->contexts[1] = tls_client_context(client, &pair->errs[1]);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(pair->contexts[i] != NULL, &pair->errs[i]);
        pair->sessions[i] = tls_session_create(pair->contexts[i], pair->fds[i],
                                               i == 1 ? name : NULL, &pair->errs[i]);
        CHECK_OK(pair->sessions[i] != NULL, &pair->errs[i]);
    }
}

static inline bool is_waiting(enum tls_result result) {
    return result == TLS_WANTS_READ || result == TLS_WANTS_WRITE || result == TLS_YIELDS;
}

static inline void pair_shake(struct pair *pair) {
    for (int turn = 0; turn < 20; turn++) {
        for (int i = 1; i >= 0; i--) {
            if (is_waiting(pair->results[i])) {
                pair->results[i] = tls_session_handshake(pair->sessions[i], &pair->errs[i]);
            }
        }
    }
}

static inline void pair_close(struct pair *pair) {
    for (int i = 0; i < 2; i++) {
        tls_session_destroy(pair->sessions[i]);
        tls_context_unref(pair->contexts[i]);
        close(pair->fds[i]);
    }
}

/* Shakes hands; both sides succeed. */
static inline void pair_connect(struct pair *pair, const struct tls_options *server,
                                const struct tls_options *client, const char *name) {
    pair_open(pair, server, client, name);
    pair_shake(pair);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(pair->results[i] == TLS_DONE, &pair->errs[i]);
    }
}

/* Shakes hands; the side fails for the reason, and its text has the part. */
static inline void check_failure(const struct tls_options *server, const struct tls_options *client,
                                 const char *name, int side, enum tls_failure failure,
                                 const char *part) {
    struct pair pair;
    pair_open(&pair, server, client, name);
    pair_shake(&pair);
    CHECK_INT(pair.results[side], TLS_FAILED);
    CHECK_TEXT(tls_failure_name(tls_session_failure(pair.sessions[side])),
               tls_failure_name(failure));
    CHECK_HAS(pair.errs[side].text, part);
    CHECK_INT(ERR_peek_error(), 0);
    pair_close(&pair);
}

/* A server whose client is OpenSSL's own, or only bytes that are written to fds[1]. */
struct foreign {
    struct tls_context *context;
    struct tls_session *session;
    SSL_CTX *client;
    SSL *ssl; /* NULL until foreign_shake */
    int fds[2];
    struct err err;
};

static inline void foreign_open(struct foreign *foreign) {
    struct tls_options options = options_of("server", NULL);
    *foreign = (struct foreign){.client = SSL_CTX_new(TLS_client_method())};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, foreign->fds) == 0);
    foreign->context = tls_server_context(&options, &foreign->err);
    foreign->session = tls_session_create(foreign->context, foreign->fds[0], NULL, &foreign->err);
}

/* The server's result. */
static inline enum tls_result foreign_shake(struct foreign *foreign) {
    enum tls_result result = TLS_WANTS_READ;
    foreign->ssl = SSL_new(foreign->client);
    SSL_set_fd(foreign->ssl, foreign->fds[1]);
    for (int turn = 0; turn < 10 && is_waiting(result); turn++) {
        SSL_connect(foreign->ssl);
        result = tls_session_handshake(foreign->session, &foreign->err);
    }
    return result;
}

static inline void foreign_close(struct foreign *foreign) {
    SSL_free(foreign->ssl);
    SSL_CTX_free(foreign->client);
    ERR_clear_error();
    tls_session_destroy(foreign->session);
    tls_context_unref(foreign->context);
    close(foreign->fds[0]);
    close(foreign->fds[1]);
}
