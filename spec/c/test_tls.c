/* tls: handshakes, of this program's two sides and with foreign clients. Also run under
 * ThreadSanitizer. */
#include <pthread.h>

#include "tls_pair.h"

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

/* What the server finds in bytes that are there. Its error is good until the next call. */
static enum tls_failure serve_bytes(const char *bytes, enum tls_result result, const char **text) {
    static struct foreign foreign;
    foreign_open(&foreign);
    CHECK(write(foreign.fds[1], bytes, strlen(bytes)) == (ssize_t)strlen(bytes));
    CHECK_INT(tls_session_handshake(foreign.session, &foreign.err), result);
    enum tls_failure failure = tls_session_failure(foreign.session);
    if (failure == TLS_FAILURE_PLAIN_HTTP) {
        char alert;
        CHECK_INT(recv(foreign.fds[1], &alert, 1, 0), -1); /* nothing was sent: HTTP can answer */
    }
    foreign_close(&foreign);
    *text = foreign.err.text;
    return failure;
}

static void plain_bytes_are_told_apart(void) {
    const char *text;
    CHECK_INT(serve_bytes("GET / HTTP/1.1\r\nHost: x\r\n\r\n", TLS_FAILED, &text),
              TLS_FAILURE_PLAIN_HTTP);
    CHECK_HAS(text, "https://");
    CHECK_INT(serve_bytes("PING\r\nPING\r\nPING\r\n", TLS_FAILED, &text), TLS_FAILURE_NOT_TLS);
    serve_bytes("GE", TLS_WANTS_READ, &text);
}

/* A client of OpenSSL with one version and list of protocols. */
static void check_foreign_client(int version, const char *protocols, enum tls_failure failure) {
    struct foreign foreign;
    foreign_open(&foreign);
    SSL_CTX_set_security_level(foreign.client, 0);
    SSL_CTX_set_min_proto_version(foreign.client, version);
    SSL_CTX_set_max_proto_version(foreign.client, version);
    SSL_CTX_set_alpn_protos(foreign.client, (const unsigned char *)protocols,
                            (unsigned)strlen(protocols));
    enum tls_result result = foreign_shake(&foreign);
    CHECK_INT(result, failure == TLS_FAILURE_NONE ? TLS_DONE : TLS_FAILED);
    CHECK_TEXT(tls_failure_name(tls_session_failure(foreign.session)), tls_failure_name(failure));
    foreign_close(&foreign);
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
    {"threads share contexts", threads_share_contexts},
};
TEST_MAIN(cases)
