/* Tests TLS sessions between a server and a client of this process, over a socket pair. */
#include "bindings/tls.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certificates.h"
#include "test.h"

#define YEAR_S (365L * 86400)

static char folder[] = "/tmp/test_tls_XXXXXX";

static void remove_files(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CHECK(system(command) == 0);
}

/* The path of a file of the folder, as long as the program. */
static char *path_of(const char *name) {
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
static void make_files(void) {
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

static struct tls_options options_of(const char *identity, const char *ca) {
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

static void pair_open(struct pair *pair, const struct tls_options *server,
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

static bool is_waiting(enum tls_result result) {
    return result == TLS_WANTS_READ || result == TLS_WANTS_WRITE || result == TLS_YIELDS;
}

static void pair_shake(struct pair *pair) {
    for (int turn = 0; turn < 20; turn++) {
        for (int i = 1; i >= 0; i--) {
            if (is_waiting(pair->results[i])) {
                pair->results[i] = tls_session_handshake(pair->sessions[i], &pair->errs[i]);
            }
        }
    }
}

static void pair_close(struct pair *pair) {
    for (int i = 0; i < 2; i++) {
        tls_session_destroy(pair->sessions[i]);
        tls_context_unref(pair->contexts[i]);
        close(pair->fds[i]);
    }
}

/* Shakes hands; both sides succeed. */
static void pair_connect(struct pair *pair, const struct tls_options *server,
                         const struct tls_options *client, const char *name) {
    pair_open(pair, server, client, name);
    pair_shake(pair);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(pair->results[i] == TLS_DONE, &pair->errs[i]);
    }
}

/* Shakes hands; the side fails for the reason, and its text has the part. */
static void check_failure(const struct tls_options *server, const struct tls_options *client,
                          const char *name, int side, enum tls_failure failure, const char *part) {
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

/* ---- handshakes ----------------------------------------------------------------------------- */

static void a_session_is_tls_1_3_and_has_no_peer_without_a_client_certificate(void) {
    struct tls_options server = options_of("server", NULL), client = options_of(NULL, "ca.pem");
    struct pair pair;
    pair_connect(&pair, &server, &client, "localhost");
    CHECK_TEXT(tls_session_version(pair.sessions[0]), "TLSv1.3");
    CHECK(tls_session_peer(pair.sessions[0]) == NULL);
    CHECK_TEXT(tls_session_peer(pair.sessions[1]), "localhost");
    pair_close(&pair);
}

static void an_address_of_the_certificate_is_a_name(void) {
    struct tls_options server = options_of("server", NULL), client = options_of(NULL, "ca.pem");
    struct pair pair;
    pair_connect(&pair, &server, &client, "127.0.0.1");
    pair_close(&pair);
    check_failure(&server, &client, "127.0.0.2", 1, TLS_FAILURE_NAME, "not for 127.0.0.2");
}

static void the_chain_is_sent(void) {
    struct tls_options server = options_of("chained", NULL), client = options_of(NULL, "ca.pem");
    struct pair pair;
    pair_connect(&pair, &server, &client, "localhost");
    int64_t now_s = (int64_t)time(NULL);
    int64_t left_s = tls_context_certificate(pair.contexts[0])->not_after_s - now_s;
    CHECK(left_s > YEAR_S / 2 - 60 && left_s <= YEAR_S / 2); /* the middle CA ends first */
    CHECK_TEXT(tls_context_certificate(pair.contexts[0])->subject, "localhost");
    pair_close(&pair);
    server = options_of("unchained", NULL);
    check_failure(&server, &client, "localhost", 1, TLS_FAILURE_UNKNOWN_CA, "intermediate");
}

static void a_client_refuses_what_it_cannot_trust(void) {
    struct tls_options server = options_of("server", NULL), client = options_of(NULL, "ca.pem");
    check_failure(&server, &client, "wrong.test", 1, TLS_FAILURE_NAME,
                  "is for localhost, api.test, 127.0.0.1, not for wrong.test");
    client = options_of(NULL, "other_ca.pem");
    check_failure(&server, &client, "localhost", 1, TLS_FAILURE_UNKNOWN_CA, "other_ca.pem");
    check_failure(&server, &client, "localhost", 0, TLS_FAILURE_ALERT, "does not trust the CA");
    client = options_of(NULL, NULL);
    check_failure(&server, &client, "localhost", 1, TLS_FAILURE_UNKNOWN_CA, "this system");
    client = options_of(NULL, "ca.pem");
    server = options_of("expired", NULL);
    check_failure(&server, &client, "localhost", 1, TLS_FAILURE_EXPIRED, "has expired");
    server = options_of("early", NULL);
    check_failure(&server, &client, "localhost", 1, TLS_FAILURE_EXPIRED, "not yet valid");
}

static void a_server_admits_clients_by_name(void) {
    static const char *const names[] = {"GATEWAY.test", "spiffe://test/gateway"};
    static const char *const good[] = {"gateway", "spiffe", "named"};
    struct tls_options server = options_of("server", "ca.pem");
    server.clients = TLS_CLIENTS_REQUIRED;
    server.client_names = names;
    server.client_name_count = 2;
    struct pair pair;
    for (size_t i = 0; i < 2; i++) {
        struct tls_options client = options_of(good[i], "ca.pem");
        pair_connect(&pair, &server, &client, "localhost");
        pair_close(&pair);
    }
    struct tls_options client = options_of("gateway", "ca.pem");
    pair_connect(&pair, &server, &client, "localhost");
    CHECK_TEXT(tls_session_peer(pair.sessions[0]), "gateway.test");
    pair_close(&pair);
    /* A common name has cases. */
    client = options_of("named", "ca.pem");
    check_failure(&server, &client, "localhost", 0, TLS_FAILURE_NAME, "is for gateway.test");
    static const char *const exact[] = {"gateway.test"};
    server.client_names = exact;
    server.client_name_count = 1;
    pair_connect(&pair, &server, &client, "localhost");
    pair_close(&pair);
    client = options_of("impostor", "ca.pem"); /* its common name is not read */
    check_failure(&server, &client, "localhost", 0, TLS_FAILURE_NAME, "is for other.test");
}

static void a_server_refuses_other_clients(void) {
    struct tls_options server = options_of("server", "ca.pem");
    server.clients = TLS_CLIENTS_REQUIRED;
    struct tls_options client = options_of(NULL, "ca.pem");
    check_failure(&server, &client, "localhost", 0, TLS_FAILURE_NO_CERTIFICATE, "no certificate");
    client = options_of("foreign", "ca.pem");
    check_failure(&server, &client, "localhost", 0, TLS_FAILURE_UNKNOWN_CA, "ca.pem");
    client = options_of("late", "ca.pem");
    check_failure(&server, &client, "localhost", 0, TLS_FAILURE_EXPIRED, "has expired");
}

static void a_server_that_only_wants_certificates_serves_a_client_without_one(void) {
    struct tls_options server = options_of("server", "ca.pem"), client = options_of(NULL, "ca.pem");
    struct pair pair;
    server.clients = TLS_CLIENTS_WANTED;
    pair_connect(&pair, &server, &client, "localhost");
    CHECK(tls_session_peer(pair.sessions[0]) == NULL);
    pair_close(&pair);
    client = options_of("foreign", "ca.pem");
    check_failure(&server, &client, "localhost", 0, TLS_FAILURE_UNKNOWN_CA, "ca.pem");
}

/* ---- foreign clients: OpenSSL's own, and none ------------------------------------------------ */

/* What the server finds in bytes that are there. */
static enum tls_result serve_bytes(const char *bytes, struct err *err, enum tls_failure *failure) {
    struct tls_options options = options_of("server", NULL);
    struct tls_context *context = tls_server_context(&options, err);
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    struct tls_session *session = tls_session_create(context, fds[0], NULL, err);
    CHECK(write(fds[1], bytes, strlen(bytes)) == (ssize_t)strlen(bytes));
    enum tls_result result = tls_session_handshake(session, err);
    *failure = tls_session_failure(session);
    if (*failure == TLS_FAILURE_PLAIN_HTTP) {
        char alert;
        CHECK_INT(recv(fds[1], &alert, 1, 0), -1); /* nothing was sent: HTTP can answer */
    }
    tls_session_destroy(session);
    tls_context_unref(context);
    close(fds[0]);
    close(fds[1]);
    return result;
}

static void plain_bytes_are_told_apart(void) {
    struct err err;
    enum tls_failure failure;
    CHECK_INT(serve_bytes("GET / HTTP/1.1\r\nHost: x\r\n\r\n", &err, &failure), TLS_FAILED);
    CHECK_INT(failure, TLS_FAILURE_PLAIN_HTTP);
    CHECK_HAS(err.text, "https://");
    CHECK_INT(serve_bytes("PING\r\nPING\r\nPING\r\n", &err, &failure), TLS_FAILED);
    CHECK_INT(failure, TLS_FAILURE_NOT_TLS);
    CHECK_INT(serve_bytes("GE", &err, &failure), TLS_WANTS_READ);
}

/* A client of OpenSSL with one version and list of protocols. */
static void check_foreign_client(int version, const char *protocols, enum tls_failure failure) {
    struct tls_options options = options_of("server", NULL);
    struct err err = {0};
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    struct tls_context *context = tls_server_context(&options, &err);
    struct tls_session *session = tls_session_create(context, fds[0], NULL, &err);
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(client, 0);
    SSL_CTX_set_min_proto_version(client, version);
    SSL_CTX_set_max_proto_version(client, version);
    SSL_CTX_set_alpn_protos(client, (const unsigned char *)protocols, (unsigned)strlen(protocols));
    SSL *ssl = SSL_new(client);
    SSL_set_fd(ssl, fds[1]);
    enum tls_result result = TLS_WANTS_READ;
    for (int turn = 0; turn < 10 && is_waiting(result); turn++) {
        SSL_connect(ssl);
        result = tls_session_handshake(session, &err);
    }
    CHECK_INT(result, failure == TLS_FAILURE_NONE ? TLS_DONE : TLS_FAILED);
    CHECK_TEXT(tls_failure_name(tls_session_failure(session)), tls_failure_name(failure));
    SSL_free(ssl);
    SSL_CTX_free(client);
    ERR_clear_error();
    tls_session_destroy(session);
    tls_context_unref(context);
    close(fds[0]);
    close(fds[1]);
}

static void versions_below_1_2_are_refused(void) {
    check_foreign_client(TLS1_2_VERSION, "\x08http/1.1", TLS_FAILURE_NONE);
    check_foreign_client(TLS1_3_VERSION, "\x08http/1.1", TLS_FAILURE_NONE);
    check_foreign_client(TLS1_1_VERSION, "\x08http/1.1", TLS_FAILURE_VERSION);
    check_foreign_client(TLS1_VERSION, "\x08http/1.1", TLS_FAILURE_VERSION);
}

static void a_client_that_offers_only_other_protocols_is_refused(void) {
    check_foreign_client(TLS1_3_VERSION, "\x02h2\x08http/1.1", TLS_FAILURE_NONE);
    check_foreign_client(TLS1_3_VERSION, "\x02h2", TLS_FAILURE_PROTOCOL);
}

/* ---- data ------------------------------------------------------------------------------------ */

#define BODY_BYTES (3 * 1024 * 1024)

/* Sends the body from one side to the other. */
static void check_transfer(struct pair *pair, int from) {
    char *body = malloc(BODY_BYTES), *got = malloc(BODY_BYTES);
    size_t sent = 0, received = 0, waits = 0;
    uint32_t seed = 7;
    for (size_t i = 0; i < BODY_BYTES; i++) {
        body[i] = (char)test_draw(&seed, 256);
    }
    while (received < BODY_BYTES && !test_failed) {
        size_t some = 0;
        enum tls_result result = TLS_WANTS_WRITE;
        while (sent < BODY_BYTES &&
               (result = tls_session_write(pair->sessions[from], body + sent, BODY_BYTES - sent,
                                           &some, &pair->errs[from])) == TLS_DONE) {
            sent += some;
        }
        waits += result == TLS_WANTS_WRITE;
        CHECK(sent == BODY_BYTES || result == TLS_WANTS_WRITE);
        do {
            result = tls_session_read(pair->sessions[1 - from], got + received,
                                      BODY_BYTES - received, &some, &pair->errs[1 - from]);
            received += result == TLS_DONE ? some : 0;
        } while (result == TLS_DONE && received < BODY_BYTES);
        CHECK(received == BODY_BYTES || is_waiting(result));
    }
    CHECK(waits > 1);
    CHECK(memcmp(body, got, BODY_BYTES) == 0);
    free(body);
    free(got);
}

static void bodies_pass_through_small_sockets_whole(void) {
    struct tls_options server = options_of("server", NULL), client = options_of(NULL, "ca.pem");
    struct pair pair;
    pair_connect(&pair, &server, &client, "localhost");
    check_transfer(&pair, 0);
    check_transfer(&pair, 1);
    pair_close(&pair);
}

static void an_end_is_told(void) {
    struct tls_options server = options_of("server", NULL), client = options_of(NULL, "ca.pem");
    struct pair pair;
    char byte;
    size_t got;
    pair_connect(&pair, &server, &client, "localhost");
    CHECK_INT(tls_session_read(pair.sessions[0], &byte, 1, &got, &pair.errs[0]), TLS_WANTS_READ);
    CHECK_INT(tls_session_end(pair.sessions[1]), TLS_DONE);
    CHECK_INT(tls_session_read(pair.sessions[0], &byte, 1, &got, &pair.errs[0]), TLS_CLOSED);
    /* The other half still works. */
    CHECK_INT(tls_session_write(pair.sessions[0], "x", 1, &got, &pair.errs[0]), TLS_DONE);
    CHECK_INT(tls_session_read(pair.sessions[1], &byte, 1, &got, &pair.errs[1]), TLS_DONE);
    CHECK_INT(tls_session_end(pair.sessions[0]), TLS_DONE);
    CHECK_INT(tls_session_read(pair.sessions[1], &byte, 1, &got, &pair.errs[1]), TLS_CLOSED);
    pair_close(&pair);
}

static void an_end_of_file_is_an_end_and_in_a_handshake_a_loss(void) {
    struct tls_options server = options_of("server", NULL), client = options_of(NULL, "ca.pem");
    struct pair pair;
    char byte;
    size_t got;
    pair_connect(&pair, &server, &client, "localhost");
    CHECK(shutdown(pair.fds[1], SHUT_WR) == 0);
    CHECK_INT(tls_session_read(pair.sessions[0], &byte, 1, &got, &pair.errs[0]), TLS_CLOSED);
    CHECK_INT(ERR_peek_error(), 0);
    pair_close(&pair);
    pair_open(&pair, &server, &client, "localhost");
    CHECK(shutdown(pair.fds[1], SHUT_WR) == 0);
    CHECK_INT(tls_session_handshake(pair.sessions[0], &pair.errs[0]), TLS_FAILED);
    CHECK_INT(tls_session_failure(pair.sessions[0]), TLS_FAILURE_LOST);
    pair_close(&pair);
}

/* A client that sends only key updates does not keep the server's thread. */
static void a_flood_of_key_updates_yields(void) {
    struct tls_options options = options_of("server", NULL);
    struct err err = {0};
    int fds[2];
    size_t got;
    char byte;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    struct tls_context *context = tls_server_context(&options, &err);
    struct tls_session *session = tls_session_create(context, fds[0], NULL, &err);
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(client);
    SSL_set_fd(ssl, fds[1]);
    for (int turn = 0; turn < 10; turn++) {
        SSL_connect(ssl);
        tls_session_handshake(session, &err);
        if (SSL_is_init_finished(ssl)) {
            break;
        }
    }
    CHECK_INT(tls_session_handshake(session, &err), TLS_DONE);
    BIO *records = BIO_new(BIO_s_mem());
    SSL_set0_wbio(ssl, records);
    for (int i = 0; i < 4000; i++) {
        SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
        CHECK_INT(SSL_do_handshake(ssl), 1);
    }
    char *bytes;
    long len = BIO_get_mem_data(records, &bytes);
    CHECK(len > 80000 && write(fds[1], bytes, (size_t)len) == len);
    CHECK_INT(tls_session_read(session, &byte, 1, &got, &err), TLS_YIELDS);
    enum tls_result result = TLS_YIELDS;
    for (int i = 0; i < 100 && result == TLS_YIELDS; i++) {
        result = tls_session_read(session, &byte, 1, &got, &err);
    }
    CHECK_INT(result, TLS_WANTS_READ);
    SSL_free(ssl);
    SSL_CTX_free(client);
    ERR_clear_error();
    tls_session_destroy(session);
    tls_context_unref(context);
    close(fds[0]);
    close(fds[1]);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void check_refused(const struct tls_options *options, const char *part) {
    struct err err = {0};
    CHECK(tls_server_context(options, &err) == NULL);
    CHECK_INT(err.kind, ERR_INPUT);
    CHECK_HAS(err.text, part);
    CHECK_INT(ERR_peek_error(), 0);
}

static void write_file(const char *name, const char *text) {
    FILE *file = fopen(path_of(name), "w");
    fputs(text, file);
    fclose(file);
}

static void files_that_cannot_be_used_are_named(void) {
    struct tls_options options = options_of("server", NULL);
    options.key = path_of("gateway.key");
    check_refused(&options, "does not belong to the first certificate in");
    options.key = path_of("absent.key");
    check_refused(&options, "absent.key cannot be read: No such file");
    options.key = path_of("server.pem");
    check_refused(&options, "server.pem holds no private key in PEM: it must have one whole");
    write_file("empty.key", "");
    options.key = path_of("empty.key");
    check_refused(&options, "empty.key holds no private key in PEM: it must have one whole");
    options = options_of("server", NULL);
    options.certificate = path_of("server.key");
    check_refused(&options, "server.key holds no certificate");
    options.certificate = path_of("");
    check_refused(&options, "is a folder");
    options = options_of("gateway", NULL);
    check_refused(&options, "issue it with serverAuth");
    options = options_of("server", NULL);
    options.clients = TLS_CLIENTS_REQUIRED;
    check_refused(&options, "need the CA");
    options.ca = path_of("server.key");
    check_refused(&options, "server.key holds no certificate");
    options = options_of(NULL, NULL);
    check_refused(&options, "needs a certificate");
    FILE *der = fopen(path_of("der.pem"), "w");
    fwrite("\x30\x82\x00\x0a", 1, 4, der);
    fclose(der);
    options = options_of("server", NULL);
    options.certificate = path_of("der.pem");
    check_refused(&options, "der.pem is in DER: convert it to PEM");
    write_file("broken.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    options = options_of("broken", NULL);
    check_refused(&options, "broken.pem: certificate 1 cannot be read");
}

static void an_encrypted_key_is_told(void) {
    struct tls_options options = options_of("server", NULL);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *file = fopen(path_of("encrypted.key"), "w");
    PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(), (const unsigned char *)"pass", 4, NULL,
                         NULL);
    fclose(file);
    EVP_PKEY_free(key);
    options.key = path_of("encrypted.key");
    check_refused(&options, "without a passphrase");
}

/* ---- threads --------------------------------------------------------------------------------- */

static struct tls_context *shared[2];

static void *shake_often(void *context) {
    (void)context;
    for (int i = 0; i < 25; i++) {
        struct pair pair = {.results = {TLS_WANTS_READ, TLS_WANTS_READ}};
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair.fds) == 0);
        for (int side = 0; side < 2; side++) {
            pair.contexts[side] = tls_context_ref(shared[side]);
            pair.sessions[side] = tls_session_create(shared[side], pair.fds[side],
                                                     side ? "localhost" : NULL, &pair.errs[side]);
        }
        pair_shake(&pair);
        CHECK_INT(pair.results[0], TLS_DONE);
        CHECK_INT(pair.results[1], TLS_DONE);
        pair_close(&pair);
    }
    return NULL;
}

static void threads_share_contexts(void) {
    struct tls_options server = options_of("server", NULL), client = options_of(NULL, "ca.pem");
    struct err err = {0};
    pthread_t threads[4];
    shared[0] = tls_server_context(&server, &err);
    shared[1] = tls_client_context(&client, &err);
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&threads[i], NULL, shake_often, NULL) == 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    tls_context_unref(shared[0]);
    tls_context_unref(shared[1]);
}

static const struct test_case cases[] = {
    {"a session is TLS 1.3, and has no peer without a client certificate",
     a_session_is_tls_1_3_and_has_no_peer_without_a_client_certificate},
    {"an address of the certificate is a name", an_address_of_the_certificate_is_a_name},
    {"the chain is sent, and the first to expire counts", the_chain_is_sent},
    {"a client refuses a wrong name, a foreign CA, an expired and an early certificate",
     a_client_refuses_what_it_cannot_trust},
    {"a server admits clients by DNS name, URI and common name", a_server_admits_clients_by_name},
    {"a server refuses clients without, with a foreign or expired certificate",
     a_server_refuses_other_clients},
    {"a server that only wants certificates serves a client without one",
     a_server_that_only_wants_certificates_serves_a_client_without_one},
    {"plain HTTP, other bytes and a part of a word are told apart", plain_bytes_are_told_apart},
    {"TLS 1.2 and 1.3 are served, 1.1 and 1.0 refused", versions_below_1_2_are_refused},
    {"a client that offers only other protocols is refused",
     a_client_that_offers_only_other_protocols_is_refused},
    {"bodies pass through small sockets whole, both ways", bodies_pass_through_small_sockets_whole},
    {"close_notify ends one direction", an_end_is_told},
    {"an end of file is an end, and in a handshake a loss",
     an_end_of_file_is_an_end_and_in_a_handshake_a_loss},
    {"a flood of key updates yields", a_flood_of_key_updates_yields},
    {"files that cannot be used are named", files_that_cannot_be_used_are_named},
    {"an encrypted key is named", an_encrypted_key_is_told},
    {"threads share contexts", threads_share_contexts},
};
TEST_MAIN(cases)
