/* tls_names: names of certificates. A client certificate is admitted if one of the configured names
 * equals one of
 *   - its subjectAltName DNS names, in any case of letters (RFC 9525 6.3; no wildcard: a client's
 *     certificate names one client);
 *   - its subjectAltName URIs, byte by byte (SPIFFE ids: RFC 9525 6.5, RFC 3986 6.2.1);
 *   - the common name of its subject, if it has no DNS name and no URI (RFC 6125 6.4.4). */
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/slice.h"
#include "base/xalloc.h"
#include "tls_private.h"

#define NAME_MAX_BYTES 255

enum tls_name_kind { TLS_NAME_DNS, TLS_NAME_URI, TLS_NAME_IP, TLS_NAME_COMMON };

/* Returns true to stop. */
typedef bool (*tls_name_visit)(void *context, enum tls_name_kind kind, struct slice name);

static struct slice tls_names_bytes(const ASN1_STRING *string) {
    return (struct slice){(const char *)ASN1_STRING_get0_data(string),
                          (size_t)ASN1_STRING_length(string)};
}

/* Shows an address of 4 or 16 bytes. */
static bool tls_names_visit_address(const ASN1_STRING *string, tls_name_visit visit,
                                    void *context) {
    const unsigned char *at = ASN1_STRING_get0_data(string);
    char text[48] = "";
    int len = ASN1_STRING_length(string);
    if (len == 4) {
        snprintf(text, sizeof text, "%u.%u.%u.%u", at[0], at[1], at[2], at[3]);
    }
    for (int i = 0, used = 0; len == 16 && i < 16; i += 2) {
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%x", i ? ":" : "",
                         at[i] << 8 | at[i + 1]);
    }
    return text[0] && visit(context, TLS_NAME_IP, slice_of(text));
}

static bool tls_names_visit_one(const GENERAL_NAME *name, tls_name_visit visit, void *context) {
    switch (name->type) {
    case GEN_DNS:
        return visit(context, TLS_NAME_DNS, tls_names_bytes(name->d.dNSName));
    case GEN_URI:
        return visit(context, TLS_NAME_URI, tls_names_bytes(name->d.uniformResourceIdentifier));
    case GEN_IPADD:
        return tls_names_visit_address(name->d.iPAddress, visit, context);
    default:
        return false;
    }
}

static bool tls_names_visit_common(const X509 *certificate, tls_name_visit visit, void *context) {
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0) {
        return false;
    }
    unsigned char *utf8 = NULL;
    int len =
        ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    bool stop =
        len > 0 && visit(context, TLS_NAME_COMMON, (struct slice){(char *)utf8, (size_t)len});
    OPENSSL_free(utf8);
    return stop;
}

/* Visits the common name only if there is no DNS name and no URI. True: stopped. */
static bool tls_names_visit_all(const X509 *certificate, tls_name_visit visit, void *context) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool stop = false, has_name = false;
    for (int i = 0; !stop && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        has_name |= name->type == GEN_DNS || name->type == GEN_URI;
        stop = tls_names_visit_one(name, visit, context);
    }
    GENERAL_NAMES_free(names);
    return stop || (!has_name && tls_names_visit_common(certificate, visit, context));
}

/* ---- listing ------------------------------------------------------------------------------- */

static bool tls_names_append(void *context, enum tls_name_kind kind, struct slice name) {
    struct buffer *text = context;
    (void)kind;
    size_t len = name.len < NAME_MAX_BYTES ? name.len : NAME_MAX_BYTES;
    buffer_append_text(text, text->len ? ", " : "");
    for (size_t i = 0; i < len; i++) { /* a name may hold any byte */
        bool shown = name.data[i] > ' ' && name.data[i] < 0x7F;
        buffer_append(text, shown ? &name.data[i] : "?", 1);
    }
    return false;
}

static bool tls_names_append_first(void *context, enum tls_name_kind kind, struct slice name) {
    tls_names_append(context, kind, name);
    return true;
}

void tls_names_list(const X509 *certificate, char *text, size_t size) {
    struct buffer all = {0};
    tls_names_visit_all(certificate, tls_names_append, &all);
    snprintf(text, size, "%s", all.data ? all.data : "");
    buffer_free(&all);
}

char *tls_names_first(const X509 *certificate) {
    struct buffer first = {0};
    tls_names_visit_all(certificate, tls_names_append_first, &first);
    return first.data ? first.data : xstrdup("a certificate without a name");
}

/* ---- clients ------------------------------------------------------------------------------- */

static bool tls_names_is_one_of(void *argument, enum tls_name_kind kind, struct slice name) {
    const struct tls_context *context = argument;
    for (size_t i = 0; i < context->client_name_count; i++) {
        struct slice admitted = slice_of(context->client_names[i]);
        bool same = kind == TLS_NAME_DNS ? admitted.len == name.len &&
                                               strncasecmp(admitted.data, name.data, name.len) == 0
                                         : slice_equal(admitted, name);
        if (same && kind != TLS_NAME_IP) {
            return true;
        }
    }
    return false;
}

bool tls_names_admit(const struct tls_context *context, const X509 *certificate) {
    return context->client_name_count == 0 ||
           tls_names_visit_all(certificate, tls_names_is_one_of, (void *)context);
}

int tls_names_verify(int good, X509_STORE_CTX *store) {
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_session *session = SSL_get_app_data(ssl);
    const struct tls_context *context = session->context;
    const X509 *own = X509_STORE_CTX_get0_cert(store);
    if (good && X509_STORE_CTX_get_error_depth(store) == 0 && !tls_names_admit(context, own)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        good = 0;
    }
    if (!good) {
        tls_names_list(own, session->refused, sizeof session->refused);
    }
    return good;
}
