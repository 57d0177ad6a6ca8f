/* certificates: makes certificate authorities and certificates for tests, as PEM files. */
#pragma once

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

struct identity { /* with its key; free by identity_free */
    X509 *certificate;
    EVP_PKEY *key;
};

struct identity_wish {
    const char *common_name;
    const char *names;             /* as in openssl.cnf: "DNS:localhost,IP:127.0.0.1"; NULL: none */
    const char *usage;             /* "serverAuth"; NULL: any; "CA": an authority */
    long from_s, to_s;             /* relative to now */
    const struct identity *issuer; /* NULL: signs itself */
};

static inline void identity_extend(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    if (!extension || X509_add_ext(certificate, extension, -1) != 1) {
        abort();
    }
    X509_EXTENSION_free(extension);
}

static inline struct identity identity_make(const struct identity_wish *wish) {
    static long serial = 1000;
    struct identity made = {X509_new(), EVP_EC_gen("P-256")};
    bool is_ca = wish->usage && strcmp(wish->usage, "CA") == 0;
    X509 *issuer = wish->issuer ? wish->issuer->certificate : made.certificate;
    X509_set_version(made.certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), wish->from_s);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), wish->to_s);
    X509_set_pubkey(made.certificate, made.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.certificate), "CN", MBSTRING_UTF8,
                               (const unsigned char *)wish->common_name, -1, -1, 0);
    X509_set_issuer_name(made.certificate, X509_get_subject_name(issuer));
    identity_extend(made.certificate, issuer, NID_basic_constraints,
                    is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (wish->names) {
        identity_extend(made.certificate, issuer, NID_subject_alt_name, wish->names);
    }
    if (wish->usage && !is_ca) {
        identity_extend(made.certificate, issuer, NID_ext_key_usage, wish->usage);
    }
    X509_sign(made.certificate, wish->issuer ? wish->issuer->key : made.key, EVP_sha256());
    return made;
}

static inline void identity_free(struct identity *identity) {
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
}

/* Writes FOLDER/NAME.pem, with the issuer's certificate behind the own one if it is given, and
 * FOLDER/NAME.key. */
static inline void identity_write(const struct identity *identity, const X509 *issuer,
                                  const char *folder, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s.pem", folder, name);
    FILE *file = fopen(path, "w");
    PEM_write_X509(file, identity->certificate);
    if (issuer) {
        PEM_write_X509(file, issuer);
    }
    fclose(file);
    snprintf(path, sizeof path, "%s/%s.key", folder, name);
    file = fopen(path, "w");
    PEM_write_PrivateKey(file, identity->key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
}
