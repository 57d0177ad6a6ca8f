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
    struct foreign foreign;
    size_t got;
    char byte;
    foreign_open(&foreign);
    CHECK_INT(foreign_shake(&foreign), TLS_DONE);
    BIO *records = BIO_new(BIO_s_mem());
    SSL_set0_wbio(foreign.ssl, records);
    for (int i = 0; i < 4000; i++) {
        SSL_key_update(foreign.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
        CHECK_INT(SSL_do_handshake(foreign.ssl), 1);
    }
    char *bytes;
    long len = BIO_get_mem_data(records, &bytes);
    CHECK(len > 80000 && write(foreign.fds[1], bytes, (size_t)len) == len);
    CHECK_INT(tls_session_read(foreign.session, &byte, 1, &got, &foreign.err), TLS_YIELDS);
    enum tls_result result = TLS_YIELDS;
    for (int i = 0; i < 100 && result == TLS_YIELDS; i++) {
        result = tls_session_read(foreign.session, &byte, 1, &got, &foreign.err);
    }
    CHECK_INT(result, TLS_WANTS_READ);
    foreign_close(&foreign);
}

static const struct test_case cases[] = {
    {"bodies pass through small sockets whole, both ways", bodies_pass_through_small_sockets_whole},
    {"close_notify ends one direction", an_end_is_told},
    {"an end of file is an end, and in a handshake a loss",
     an_end_of_file_is_an_end_and_in_a_handshake_a_loss},
    {"a flood of key updates yields", a_flood_of_key_updates_yields},
};

TEST_MAIN(cases)
