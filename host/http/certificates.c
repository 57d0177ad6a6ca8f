#include "certificates.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file_stamp.h"
#include "base/json_put.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "base/timestamp.h"
#include "base/xalloc.h"

#define LOOK_INTERVAL_US 500000
#define EXPIRES_SOON_S (21 * 86400LL) /* as the alert AggregatorCertificateExpires */
#define DAY_S 86400
#define SECOND_US 1000000

struct certificates {
    const char *listener;
    pthread_mutex_t loading;     /* held while files are read; guards `stamp` */
    uint64_t stamp;              /* of the files that were tried last */
    struct thread thread;        /* its lock guards what follows */
    struct certificates_of of;   /* changed under `loading`, too */
    struct tls_context *context; /* NULL: without TLS */
    char *problem;               /* why newer files are not used; NULL: none */
};

struct certificates_of certificates_of_http(const struct config *config) {
    return (struct certificates_of){"http", config, &config->http.tls, 0};
}

struct certificates_of certificates_of_admin(const struct config *config) {
    return (struct certificates_of){"admin", config, &config->admin.tls, 0};
}

/* ---- loading ------------------------------------------------------------------------------ */

static bool certificates_are_wanted(const struct certificates_of *of) {
    return of->tls->certificate[0] != '\0';
}

static uint64_t certificates_stamp(const struct certificates_of *of) {
    uint64_t stamp = file_stamp(of->tls->certificate, 1);
    stamp = file_stamp(of->tls->key, stamp);
    return file_stamp(of->tls->client_ca, stamp);
}

/* Settings that contradict each other. */
static bool certificates_check_settings(const struct certificates_of *of, struct err *err) {
    const struct config_tls *tls = of->tls;
    if (certificates_are_wanted(of) != (tls->key[0] != '\0')) {
        return err_set(err, ERR_INPUT, "%s.tls_%s is set without %s.tls_%s: set both", of->listener,
                       tls->key[0] ? "key" : "certificate", of->listener,
                       tls->key[0] ? "certificate" : "key");
    }
    if (tls->client_ca[0] && !certificates_are_wanted(of)) {
        return err_set(err, ERR_INPUT,
                       "%s.tls_client_ca is set without %s.tls_certificate: clients show a "
                       "certificate over TLS only",
                       of->listener, of->listener);
    }
    return tls->client_names.count == 0 || tls->client_ca[0] ||
           err_set(err, ERR_INPUT,
                   "%s.tls_client_names is set without %s.tls_client_ca: name the file of the CA "
                   "that signs these clients",
                   of->listener, of->listener);
}

/* *context: NULL without TLS. */
static bool certificates_load(const struct certificates_of *of, struct tls_context **context,
                              struct err *err) {
    const struct config_tls *tls = of->tls;
    struct tls_options options = {
        .certificate = tls->certificate,
        .key = tls->key,
        .ca = tls->client_ca,
        .min_version = strcmp(tls->min_version, "1.3") == 0 ? TLS_VERSION_1_3 : TLS_VERSION_1_2,
        .clients = !tls->client_ca[0]                                  ? TLS_CLIENTS_ANY
                   : strcmp(tls->client_certificates, "optional") == 0 ? TLS_CLIENTS_WANTED
                                                                       : TLS_CLIENTS_REQUIRED,
        .client_names = (const char *const *)tls->client_names.items,
        .client_name_count = tls->client_names.count,
        .alpn = "http/1.1",
    };
    *context = NULL;
    if (!certificates_check_settings(of, err)) {
        return false;
    }
    if (certificates_are_wanted(of)) {
        *context = tls_server_context(&options, err);
        return *context || err_wrap(err, "TLS of the listener %s", of->listener);
    }
    return true;
}

static void certificates_format_end(const struct tls_certificate *about,
                                    char text[TIMESTAMP_TEXT_CAP]) {
    timestamp_format(about->not_after_s * SECOND_US, text);
}

static int64_t certificates_left_s(const struct tls_certificate *about) {
    return about->not_after_s - clock_wall_us() / SECOND_US;
}

static void certificates_announce(const struct certificates_of *of,
                                  const struct tls_context *context) {
    const struct tls_certificate *about = tls_context_certificate(context);
    char end[TIMESTAMP_TEXT_CAP];
    struct metric *ends = metric_family(
        METRIC_GAUGE, "ras_tls_certificate_expiry_timestamp_seconds",
        "When the listener's certificate, or a CA that it is sent with, ends.", "listener");
    metric_set(metric_cell(ends, of->listener), (double)about->not_after_s);
    certificates_format_end(about, end);
    LOG_AT(certificates_left_s(about) < EXPIRES_SOON_S ? LOG_WARNING : LOG_INFO,
           "listener uses a certificate", LOG_TEXT("listener", of->listener),
           LOG_TEXT("names", about->subject), LOG_TEXT("serial", about->serial),
           LOG_TEXT("not_after", end));
}

/* ---- the present ones --------------------------------------------------------------------- */

static bool certificates_have_same_names(const struct config_strings *a,
                                         const struct config_strings *b) {
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = strcmp(a->items[i], b->items[i]) == 0;
    }
    return same;
}

static bool certificates_are_same(const struct config_tls *a, const struct config_tls *b) {
    return strcmp(a->certificate, b->certificate) == 0 && strcmp(a->key, b->key) == 0 &&
           strcmp(a->client_ca, b->client_ca) == 0 &&
           certificates_have_same_names(&a->client_names, &b->client_names) &&
           strcmp(a->client_certificates, b->client_certificates) == 0 &&
           strcmp(a->min_version, b->min_version) == 0;
}

/* Whether the settings and their files are those in use: they are not loaded again, since each new
 * context ends the session tickets of the one before. Under `loading`. */
static bool certificates_are_present(struct certificates *certificates,
                                     const struct certificates_of *of, uint64_t stamp) {
    thread_lock(&certificates->thread);
    bool present = certificates->of.config && !certificates->problem &&
                   certificates->stamp == stamp &&
                   certificates_are_same(certificates->of.tls, of->tls);
    thread_unlock(&certificates->thread);
    return present;
}

static void certificates_set_problem(struct certificates *certificates, const char *problem) {
    thread_lock(&certificates->thread);
    free(certificates->problem);
    certificates->problem = problem ? xstrdup(problem) : NULL;
    thread_unlock(&certificates->thread);
}

/* Takes the reference to the context. */
static void certificates_set(struct certificates *certificates, const struct certificates_of *of,
                             struct tls_context *context) {
    thread_lock(&certificates->thread);
    struct tls_context *old_context = certificates->context;
    const struct config *old_config = certificates->of.config;
    certificates->context = context;
    certificates->of = *of;
    config_ref(of->config);
    thread_wake(&certificates->thread);
    thread_unlock(&certificates->thread);
    tls_context_unref(old_context);
    config_unref(old_config);
    if (context) {
        certificates_announce(of, context);
    } else if (old_context) {
        log_warning("listener no longer uses TLS", LOG_TEXT("listener", of->listener));
    }
}

/* Under `loading`. */
static bool certificates_try(struct certificates *certificates, const struct certificates_of *of,
                             uint64_t stamp, struct err *err) {
    struct tls_context *context;
    bool present = certificates_are_present(certificates, of, stamp);
    bool good = present || certificates_load(of, &context, err);
    certificates->stamp = stamp;
    if (good && !present) {
        certificates_set(certificates, of, context);
    }
    certificates_set_problem(certificates, good ? NULL : err->text);
    return good;
}

bool certificates_replace(struct certificates *certificates, const struct certificates_of *of,
                          struct err *err) {
    uint64_t stamp = certificates_stamp(of); /* before the read: a later write is seen */
    pthread_mutex_lock(&certificates->loading);
    /* Else a reload that began later, or while this thread waited, has brought other settings. */
    bool newest = of->turn >= certificates->of.turn;
    bool good = !newest || certificates_try(certificates, of, stamp, err);
    pthread_mutex_unlock(&certificates->loading);
    return good;
}

struct tls_context *certificates_take(struct certificates *certificates) {
    if (!certificates) {
        return NULL;
    }
    thread_lock(&certificates->thread);
    struct tls_context *context =
        certificates->context ? tls_context_ref(certificates->context) : NULL;
    thread_unlock(&certificates->thread);
    return context;
}

/* ---- the thread --------------------------------------------------------------------------- */

/* A copy with a reference to its configuration. */
static struct certificates_of certificates_take_settings(struct certificates *certificates) {
    thread_lock(&certificates->thread);
    struct certificates_of of = certificates->of;
    config_ref(of.config);
    thread_unlock(&certificates->thread);
    return of;
}

static void certificates_renew(struct certificates *certificates,
                               const struct certificates_of *of) {
    struct err err = {0};
    if (!certificates_replace(certificates, of, &err)) {
        log_warning("new certificate cannot be used: the listener keeps the old one",
                    LOG_TEXT("listener", of->listener), LOG_TEXT("error", err.text));
    }
}

/* *seen: the stamp at the last look. Files are read once they stayed the same between two looks: a
 * certificate and its key are written one after the other. */
static void certificates_look(struct certificates *certificates, uint64_t *seen) {
    struct certificates_of of = certificates_take_settings(certificates);
    if (certificates_are_wanted(&of)) {
        uint64_t stamp = certificates_stamp(&of);
        pthread_mutex_lock(&certificates->loading);
        bool changed = stamp != certificates->stamp;
        pthread_mutex_unlock(&certificates->loading);
        if (changed && stamp == *seen) {
            certificates_renew(certificates, &of);
        }
        *seen = stamp;
    }
    config_unref(of.config);
}

static void *certificates_main(void *context) {
    struct certificates *certificates = context;
    uint64_t seen = 0;
    thread_lock(&certificates->thread);
    while (!certificates->thread.stopping) {
        thread_sleep(&certificates->thread, certificates_are_wanted(&certificates->of)
                                                ? clock_monotonic_us() + LOOK_INTERVAL_US
                                                : INT64_MAX);
        thread_unlock(&certificates->thread);
        certificates_look(certificates, &seen);
        thread_lock(&certificates->thread);
    }
    thread_unlock(&certificates->thread);
    return NULL;
}

struct certificates *certificates_create(const struct certificates_of *of, struct err *err) {
    struct certificates *certificates = xcalloc(1, sizeof *certificates);
    certificates->listener = of->listener;
    pthread_mutex_init(&certificates->loading, NULL);
    thread_init(&certificates->thread);
    if (!certificates_replace(certificates, of, err) ||
        !thread_start(&certificates->thread, certificates_main, certificates,
                      "the thread that watches certificates", err)) {
        certificates_destroy(certificates);
        return NULL;
    }
    return certificates;
}

void certificates_destroy(struct certificates *certificates) {
    if (certificates) {
        thread_stop(&certificates->thread);
        thread_free(&certificates->thread);
        pthread_mutex_destroy(&certificates->loading);
        tls_context_unref(certificates->context);
        config_unref(certificates->of.config);
        free(certificates->problem);
        free(certificates);
    }
}

/* ---- for operators ------------------------------------------------------------------------- */

void certificates_report(struct certificates *certificates, struct buffer *json) {
    struct tls_context *context = certificates_take(certificates);
    if (!context) {
        return;
    }
    const struct tls_certificate *about = tls_context_certificate(context);
    json_open(json, NULL, "{");
    json_put_text(json, "listener", slice_of(certificates->listener));
    json_put_text(json, "names", slice_of(about->subject));
    json_put_text(json, "serial", slice_of(about->serial));
    json_put_time(json, "not_before", about->not_before_s * SECOND_US);
    json_put_time(json, "not_after", about->not_after_s * SECOND_US);
    json_put_int(json, "days_left", certificates_left_s(about) / DAY_S);
    buffer_append_text(json, "}");
    tls_context_unref(context);
}

static void certificates_warn_of_end(const struct certificates *certificates,
                                     const struct tls_certificate *about, struct buffer *json) {
    char end[TIMESTAMP_TEXT_CAP];
    struct buffer text = {0};
    int64_t left_s = certificates_left_s(about);
    if (left_s >= EXPIRES_SOON_S) {
        return;
    }
    certificates_format_end(about, end);
    buffer_append_format(&text, "TLS of the listener %s: the certificate of %s %s %s: renew it",
                         certificates->listener, about->subject,
                         left_s <= 0 ? "has expired at" : "expires at", end);
    json_put_text(json, NULL, buffer_slice(&text));
    buffer_free(&text);
}

void certificates_put_warnings(struct certificates *certificates, struct buffer *json) {
    if (!certificates) {
        return;
    }
    struct tls_context *context = certificates_take(certificates);
    thread_lock(&certificates->thread);
    if (certificates->problem) {
        struct buffer text = {0};
        buffer_append_format(&text, "new certificate cannot be used: %s", certificates->problem);
        json_put_text(json, NULL, buffer_slice(&text));
        buffer_free(&text);
    }
    thread_unlock(&certificates->thread);
    if (context) {
        certificates_warn_of_end(certificates, tls_context_certificate(context), json);
        tls_context_unref(context);
    }
}

bool certificates_check(const struct certificates_of *of, struct tls_certificate *about,
                        struct err *err) {
    struct tls_context *context;
    bool good = certificates_load(of, &context, err);
    *about = context ? *tls_context_certificate(context) : (struct tls_certificate){0};
    tls_context_unref(context);
    return good;
}
