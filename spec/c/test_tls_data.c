/* tls: what a session carries, and how it ends. */
#include "tls_pair.h"

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

static const struct test_case cases[] = {
    {"bodies pass through small sockets whole, both ways", bodies_pass_through_small_sockets_whole},
    {"close_notify ends one direction", an_end_is_told},
    {"an end of file is an end, and in a handshake a loss",
     an_end_of_file_is_an_end_and_in_a_handshake_a_loss},
    {"a flood of key updates yields", a_flood_of_key_updates_yields},
};

TEST_MAIN(cases)
