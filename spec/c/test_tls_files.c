/* tls: files of certificates and keys that cannot be used. */
#include "files.h"
#include "tls_pair.h"

static void check_refused(const struct tls_options *options, const char *part) {
    struct err err = {0};
    CHECK(tls_server_context(options, &err) == NULL);
    CHECK_INT(err.kind, ERR_INPUT);
    CHECK_HAS(err.text, part);
    CHECK_INT(ERR_peek_error(), 0);
}

static void files_that_cannot_be_used_are_named(void) {
    struct tls_options options = options_of("server", NULL);
    options.key = path_of("gateway.key");
    check_refused(&options, "does not belong to the first certificate in");
    options.key = path_of("absent.key");
    check_refused(&options, "absent.key cannot be read: No such file");
    options.key = path_of("server.pem");
    check_refused(&options, "server.pem holds no private key in PEM: it must have one whole");
    write_path(path_of("empty.key"), "");
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
    write_path(path_of("broken.pem"),
               "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
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

static const struct test_case cases[] = {
    {"files that cannot be used are named", files_that_cannot_be_used_are_named},
    {"an encrypted key is named", an_encrypted_key_is_told},
};

TEST_MAIN(cases)
