#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/regular_file.h"
#include "base/xalloc.h"
#include "tls_private.h"

#define FILE_MAX_BYTES (1024UL * 1024)
#define DER_SEQUENCE 0x30      /* X.690: the first byte of a certificate or key */
#define CERTIFICATES_MOST 1000 /* of a file: the system's bundle has about 150 */
#define TICKET_LIFETIME_S 300
/* RFC 9325 4.2: forward secrecy and authenticated encryption. TLS 1.3 has no others. */
#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define GROUPS "X25519:P-256:P-384"

/* ---- files -------------------------------------------------------------------------------- */

/* A BIO over the text of a file. The caller frees both. */
static BIO *tls_context_open(const char *path, struct buffer *text, struct err *err) {
    if (!regular_file_read(AT_FDCWD, path, path, FILE_MAX_BYTES, text, err)) {
        if (text->len > 0 && text->data[0] == DER_SEQUENCE) {
            err_set(
                err, ERR_INPUT,
                "%s is in DER: convert it to PEM (openssl x509 -inform der, openssl pkey -inform "
                "der)",
                path);
        }
        return NULL;
    }
    BIO *bio = BIO_new_mem_buf(text->data, (int)text->len);
    if (!bio) {
        err_set(err, ERR_INTERNAL, "%s: OpenSSL has no memory to read it", path);
    }
    return bio;
}

static void tls_context_close(BIO *bio, struct buffer *text) {
    BIO_free(bio);
    if (text->data) { /* it may hold a key */
        explicit_bzero(text->data, text->cap);
    }
    buffer_free(text);
}

/* True: the queue holds nothing but the end of the file. */
static bool tls_context_is_at_end(void) {
    unsigned long code = ERR_peek_last_error();
    bool at_end = code == 0 ||
                  (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE);
    if (at_end) {
        ERR_clear_error();
    }
    return at_end;
}

/* The certificates of a file in order. NULL: err. */
static STACK_OF(X509) * tls_context_read_certificates(const char *path, struct err *err) {
    struct buffer text = {0};
    char why[256];
    STACK_OF(X509) *all = sk_X509_new_null();
    BIO *bio = all ? tls_context_open(path, &text, err) : NULL;
    bool good = bio != NULL;
    while (good && sk_X509_num(all) < CERTIFICATES_MOST) {
        X509 *one = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (!one) {
            break;
        }
        good = sk_X509_push(all, one) > 0;
    }
    if (good && !tls_context_is_at_end()) {
        good = err_set(err, ERR_INPUT, "%s: certificate %d cannot be read: %s", path,
                       sk_X509_num(all) + 1, tls_failure_text(why));
    } else if (good && sk_X509_num(all) == 0) {
        good = err_set(err, ERR_INPUT,
                       "%s holds no certificate: it must be a PEM file with \"BEGIN CERTIFICATE\"",
                       path);
    }
    tls_context_close(bio, &text);
    if (!good) {
        sk_X509_pop_free(all, X509_free);
        return NULL;
    }
    return all;
}

/* Called for an encrypted key: there is no passphrase. */
static int tls_context_no_passphrase(char *text, int size, int writing, void *asked) {
    (void)text, (void)size, (void)writing;
    *(bool *)asked = true;
    return -1;
}

static EVP_PKEY *tls_context_read_key(const char *path, struct err *err) {
    struct buffer text = {0};
    bool encrypted = false;
    BIO *bio = tls_context_open(path, &text, err);
    EVP_PKEY *key =
        bio ? PEM_read_bio_PrivateKey(bio, NULL, tls_context_no_passphrase, &encrypted) : NULL;
    if (bio && !key && encrypted) {
        err_set(err, ERR_INPUT,
                "%s: the key is encrypted: store it without a passphrase, readable to the "
                "program's user alone (openssl pkey -in FILE -out FILE)",
                path);
    } else if (bio && !key) {
        err_set(err, ERR_INPUT,
                "%s holds no private key in PEM: it must have one whole, from \"-----BEGIN PRIVATE "
                "KEY-----\" (or RSA or EC PRIVATE KEY) to its END line",
                path);
    }
    tls_context_close(bio, &text);
    ERR_clear_error();
    return key;
}

/* ---- the own certificate ------------------------------------------------------------------ */

static int64_t tls_context_time(const ASN1_TIME *time) {
    struct tm utc = {0};
    return ASN1_TIME_to_tm(time, &utc) == 1 ? (int64_t)timegm(&utc) : 0;
}

static void tls_context_describe(struct tls_certificate *about, const STACK_OF(X509) * chain) {
    const X509 *own = sk_X509_value(chain, 0);
    about->not_after_s = INT64_MAX;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        int64_t at_s = tls_context_time(X509_get0_notAfter(sk_X509_value(chain, i)));
        about->not_after_s = at_s < about->not_after_s ? at_s : about->not_after_s;
    }
    about->not_before_s = tls_context_time(X509_get0_notBefore(own));
    tls_names_list(own, about->subject, sizeof about->subject);
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(own), NULL);
    char *hex = number ? BN_bn2hex(number) : NULL;
    snprintf(about->serial, sizeof about->serial, "%s", hex ? hex : "");
    OPENSSL_free(hex);
    BN_free(number);
}

static bool tls_context_is_for(X509 *own, bool server) {
    return X509_check_purpose(own, server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT, 0) ==
           1;
}

/* The chain and the key belong together. */
static bool tls_context_use(struct tls_context *context, const struct tls_options *options,
                            STACK_OF(X509) * chain, EVP_PKEY *key, struct err *err) {
    char why[256];
    X509 *own = sk_X509_value(chain, 0);
    if (X509_check_private_key(own, key) != 1) {
        ERR_clear_error();
        return err_set(err, ERR_INPUT,
                       "the key %s does not belong to the first certificate in %s: the file must "
                       "begin with the %s's own certificate, and both must be of one renewal",
                       options->key, options->certificate,
                       context->is_server ? "server" : "client");
    }
    if (!tls_context_is_for(own, context->is_server)) {
        return err_set(err, ERR_INPUT,
                       "%s: its extended key usage does not allow a %s: issue it with %s",
                       options->certificate, context->is_server ? "server" : "client",
                       context->is_server ? "serverAuth" : "clientAuth");
    }
    bool good = SSL_CTX_use_certificate(context->ssl, own) == 1 &&
                SSL_CTX_use_PrivateKey(context->ssl, key) == 1;
    for (int i = 1; good && i < sk_X509_num(chain); i++) {
        good = SSL_CTX_add1_chain_cert(context->ssl, sk_X509_value(chain, i)) == 1;
    }
    tls_context_describe(&context->certificate, chain);
    return good || err_set(err, ERR_INPUT, "%s cannot be used: %s", options->certificate,
                           tls_failure_text(why));
}

static bool tls_context_load_own(struct tls_context *context, const struct tls_options *options,
                                 struct err *err) {
    STACK_OF(X509) *chain = tls_context_read_certificates(options->certificate, err);
    EVP_PKEY *key = chain ? tls_context_read_key(options->key, err) : NULL;
    bool good = key && tls_context_use(context, options, chain, key, err);
    EVP_PKEY_free(key);
    sk_X509_pop_free(chain, X509_free);
    return good;
}

/* ---- trust -------------------------------------------------------------------------------- */

/* The CAs of the file are trusted; a server also sends their names to its clients. */
static bool tls_context_trust_file(struct tls_context *context, const char *path, struct err *err) {
    char why[256];
    STACK_OF(X509) *all = tls_context_read_certificates(path, err);
    if (!all) {
        return false;
    }
    X509_STORE *store = SSL_CTX_get_cert_store(context->ssl);
    bool good = true;
    for (int i = 0; good && i < sk_X509_num(all); i++) {
        X509 *ca = sk_X509_value(all, i);
        good = X509_STORE_add_cert(store, ca) == 1 &&
               (!context->is_server || SSL_CTX_add_client_CA(context->ssl, ca) == 1);
    }
    sk_X509_pop_free(all, X509_free);
    return good || err_set(err, ERR_INPUT, "%s cannot be used: %s", path, tls_failure_text(why));
}

static bool tls_context_trust(struct tls_context *context, const char *ca, struct err *err) {
    char why[256];
    if (ca[0]) {
        return tls_context_trust_file(context, ca, err);
    }
    return context->is_server || SSL_CTX_set_default_verify_paths(context->ssl) == 1 ||
           err_set(err, ERR_INPUT, "the system's CA certificates cannot be read: %s",
                   tls_failure_text(why));
}

/* ---- protocol ----------------------------------------------------------------------------- */

/* RFC 7301 3.2: no protocol in common is an alert (a client of another protocol is not answered in
 * this one: the ALPACA attack). A client without ALPN is served. */
static int tls_context_choose_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *len,
                                   const unsigned char *offered, unsigned int offered_len,
                                   void *argument) {
    const struct tls_context *context = argument;
    unsigned char *out = NULL;
    (void)ssl;
    if (SSL_select_next_proto(&out, len, context->alpn, context->alpn[0] + 1U, offered,
                              offered_len) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *chosen = out;
    return SSL_TLSEXT_ERR_OK;
}

static bool tls_context_set_alpn(struct tls_context *context, const char *alpn) {
    size_t len = alpn ? strlen(alpn) : 0;
    if (len == 0) {
        return true;
    }
    context->alpn[0] = (unsigned char)len;
    memcpy(context->alpn + 1, alpn, len < sizeof context->alpn ? len : 0);
    if (context->is_server) {
        SSL_CTX_set_alpn_select_cb(context->ssl, tls_context_choose_alpn, context);
        return true;
    }
    return SSL_CTX_set_alpn_protos(context->ssl, context->alpn, (unsigned)len + 1) == 0;
}

/* Sessions resume by tickets, whose key is this context's: after a reload of certificates each
 * client does a full handshake. */
static bool tls_context_set_sessions(struct tls_context *context) {
    static const unsigned char id[] = "aggregator";
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(context->ssl, TICKET_LIFETIME_S);
    return SSL_CTX_set_session_id_context(context->ssl, id, sizeof id - 1) == 1;
}

static bool tls_context_set_protocol(struct tls_context *context, const struct tls_options *options,
                                     struct err *err) {
    char why[256];
    SSL_CTX *ssl = context->ssl;
    int least = options->min_version == TLS_VERSION_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    /* Only close_notify ends a side, says TLS. A protocol that knows where its messages end, such
     * as HTTP or Redis', loses nothing by an end of file, and a client that shuts its side down
     * without close_notify gets its response. */
    SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_security_level(ssl, 2); /* 112 bits: RSA from 2,048 bits on, no SHA-1 */
    SSL_CTX_set_read_ahead(ssl, 1);     /* one recv for a record, not two */
    bool good = SSL_CTX_set_min_proto_version(ssl, least) == 1 &&
                SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
                SSL_CTX_set_cipher_list(ssl, CIPHERS_1_2) == 1 &&
                SSL_CTX_set1_groups_list(ssl, GROUPS) == 1 && tls_context_set_sessions(context) &&
                tls_context_set_alpn(context, options->alpn);
    return good ||
           err_set(err, ERR_INTERNAL, "OpenSSL refused a setting: %s", tls_failure_text(why));
}

/* ---- create and destroy -------------------------------------------------------------------- */

static char **tls_context_copy_names(const struct tls_options *options) {
    char **names = xcalloc(options->client_name_count + 1, sizeof *names);
    for (size_t i = 0; i < options->client_name_count; i++) {
        names[i] = xstrdup(options->client_names[i]);
    }
    return names;
}

static const char *tls_context_path(const char *path) {
    return path ? path : "";
}

static bool tls_context_load(struct tls_context *context, const struct tls_options *options,
                             struct err *err) {
    const char *certificate = tls_context_path(options->certificate);
    const char *key = tls_context_path(options->key);
    if (!context->ssl) {
        char why[256];
        return err_set(err, ERR_INTERNAL, "OpenSSL cannot create a context: %s",
                       tls_failure_text(why));
    }
    if (!certificate[0] != !key[0]) {
        return err_set(err, ERR_INPUT, "a certificate needs its key, and a key its certificate");
    }
    if (!tls_context_set_protocol(context, options, err) ||
        (certificate[0] && !tls_context_load_own(context, options, err))) {
        return false;
    }
    bool verifies = !context->is_server || options->clients != TLS_CLIENTS_ANY;
    return !verifies || tls_context_trust(context, context->ca, err);
}

static struct tls_context *tls_context_create(const struct tls_options *options, bool is_server,
                                              struct err *err) {
    struct tls_context *context = xcalloc(1, sizeof *context);
    ERR_clear_error();
    *context = (struct tls_context){
        .ssl = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()),
        .is_server = is_server,
        .ca = xstrdup(tls_context_path(options->ca)),
        .client_names = tls_context_copy_names(options),
        .client_name_count = options->client_name_count,
    };
    atomic_init(&context->refs, 1);
    if (!tls_context_load(context, options, err)) {
        tls_context_unref(context);
        ERR_clear_error();
        return NULL;
    }
    return context;
}

struct tls_context *tls_server_context(const struct tls_options *options, struct err *err) {
    struct tls_context *context = NULL;
    if (!tls_context_path(options->certificate)[0]) {
        err_set(err, ERR_INPUT, "a TLS server needs a certificate and its key");
    } else if (options->clients != TLS_CLIENTS_ANY && !tls_context_path(options->ca)[0]) {
        err_set(err, ERR_INPUT, "client certificates need the CA that signs them");
    } else {
        context = tls_context_create(options, true, err);
    }
    if (context && options->clients != TLS_CLIENTS_ANY) {
        bool required = options->clients == TLS_CLIENTS_REQUIRED;
        /* A resumed session verifies nothing, and renews its ticket: a client's certificate that
         * has expired would be good for as long as the client returns. */
        SSL_CTX_set_options(context->ssl, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(context->ssl, 0);
        SSL_CTX_set_verify(context->ssl,
                           SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                           tls_names_verify);
    }
    return context;
}

struct tls_context *tls_client_context(const struct tls_options *options, struct err *err) {
    struct tls_context *context = tls_context_create(options, false, err);
    if (context) {
        SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, tls_names_verify);
    }
    return context;
}

struct tls_context *tls_context_ref(struct tls_context *context) {
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void tls_context_unref(struct tls_context *context) {
    if (!context || atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    SSL_CTX_free(context->ssl);
    for (size_t i = 0; i < context->client_name_count; i++) {
        free(context->client_names[i]);
    }
    free(context->client_names);
    free(context->ca);
    free(context);
}

const struct tls_certificate *tls_context_certificate(const struct tls_context *context) {
    return &context->certificate;
}
