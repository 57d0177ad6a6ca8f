/* certificates: the TLS of one listener: its present certificate, key and client CA. They are read
 * again when their files change (a thread looks twice a second), and by a reload. New files that
 * cannot be used change nothing: the log and the warnings of `aggregator status` say why. Open
 * connections keep what they began with. Any thread. */
#pragma once

#include "base/buffer.h"
#include "bindings/tls.h"
#include "config/config.h"

struct certificates;

/* What a listener serves; borrowed. */
struct certificates_of {
    const char *listener; /* the section of the settings: "http" */
    const struct config *config;
    const struct config_tls *tls; /* of that configuration */
    uint64_t turn;                /* of the reload that read it (api_begin_admission); 0: none */
};
struct certificates_of certificates_of_http(const struct config *config);
struct certificates_of certificates_of_admin(const struct config *config);

/* Reads the files and starts the thread. NULL: err names the setting and the file. */
struct certificates *certificates_create(const struct certificates_of *of, struct err *err);
void certificates_destroy(struct certificates *certificates); /* NULL is allowed */

/* For a new connection, with a reference; NULL: without TLS. NULL is allowed. */
struct tls_context *certificates_take(struct certificates *certificates);
/* Takes other settings, or reads the files of the same ones; not those of an earlier turn than the
 * present ones. False: err, and nothing changed. */
bool certificates_replace(struct certificates *certificates, const struct certificates_of *of,
                          struct err *err);

/* Both do nothing for NULL. */
/* Appends an object to a JSON list: listener, names, serial number, times; nothing without TLS. */
void certificates_report(struct certificates *certificates, struct buffer *json);
/* Appends texts to a JSON list: files that cannot be used, a certificate that ends soon. */
void certificates_put_warnings(struct certificates *certificates, struct buffer *json);

/* For `aggregator check`: whether the files can be used. *about: zeros without TLS. */
bool certificates_check(const struct certificates_of *of, struct tls_certificate *about,
                        struct err *err);
