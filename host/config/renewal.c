#include "renewal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bindings/login.h"
#include "bindings/pg_url.h"
#include "bindings/redis.h"
#include "base/clock.h"
#include "base/file_stamp.h"
#include "base/log.h"
#include "base/xalloc.h"

#define REREAD_INTERVAL_US 1000000 /* between re-reads after refused logins */
#define READING_TIMEOUT_S 1        /* of a thread that waits for another one to read */

static pthread_mutex_t reading = PTHREAD_MUTEX_INITIALIZER; /* held by the one thread that reads */
/* Under `reading`. */
static uint64_t stamp;     /* of the files that `present` was read from */
static int64_t reread_us;  /* the last re-read after a refused login */
static char *logged_error; /* of the last re-read; NULL: none */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static char *path;                                       /* NULL: logins do not change */
static const struct config *present;                     /* replaced under both */

/* ---- re-reading ---------------------------------------------------------------------------- */

static uint64_t renewal_files_stamp(void) {
    const struct config_strings *lists[] = {&present->files, &present->secret_files};
    uint64_t all = 1;
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++) {
        for (size_t i = 0; i < lists[l]->count; i++) {
            all = file_stamp(lists[l]->items[i], all);
        }
    }
    return all;
}

/* Logs an error once, until it changes. */
static void renewal_log_error(const char *error) {
    if (error && (!logged_error || strcmp(logged_error, error) != 0)) {
        log_warning("configuration cannot be re-read: logins do not change",
                    LOG_TEXT("error", error));
    }
    free(logged_error);
    logged_error = error ? xstrdup(error) : NULL;
}

static void renewal_replace(const struct config *fresh) {
    pthread_mutex_lock(&lock);
    const struct config *old = present;
    present = fresh;
    pthread_mutex_unlock(&lock);
    config_unref(old);
}

static void renewal_reread(void) {
    struct err err = {0};
    stamp = renewal_files_stamp(); /* before the read: a later write causes another re-read */
    struct config *fresh = config_load(path, &err);
    renewal_log_error(fresh ? NULL : err.text);
    if (fresh) {
        renewal_replace(fresh);
        stamp = stamp == renewal_files_stamp() ? stamp : 0; /* it may name other files */
    }
}

/* Re-reads if the files changed, or a login was refused. Does nothing where another thread reads
 * for longer: a file system that hangs must not hold all connections up. */
static void renewal_read(bool after_refusal) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += READING_TIMEOUT_S;
    if (pthread_mutex_timedlock(&reading, &until) != 0) {
        return;
    }
    int64_t now_us = clock_monotonic_us();
    bool due = after_refusal && now_us - reread_us >= REREAD_INTERVAL_US;
    if (path && (due || renewal_files_stamp() != stamp)) {
        reread_us = due ? now_us : reread_us;
        renewal_reread();
    }
    pthread_mutex_unlock(&reading);
}

/* Reads, then locks. The caller unlocks. */
static void renewal_lock(bool after_refusal) {
    renewal_read(after_refusal);
    pthread_mutex_lock(&lock);
}

/* ---- logins -------------------------------------------------------------------------------- */

/* Of the database or a replica; NULL: neither. */
static const char *renewal_postgres_url(const char *url) {
    const struct config_strings *replicas = &present->postgres.read_urls;
    if (pg_url_same_place(url, present->postgres.url)) {
        return present->postgres.url;
    }
    for (size_t i = 0; i < replicas->count; i++) {
        if (pg_url_same_place(url, replicas->items[i])) {
            return replicas->items[i];
        }
    }
    return NULL;
}

static char *renewal_url(enum login_of of, const char *url, bool after_refusal) {
    renewal_lock(after_refusal);
    const char *fresh = path && of == LOGIN_POSTGRES ? renewal_postgres_url(url) : NULL;
    if (fresh) {
        url = fresh;
    } else if (path && of == LOGIN_REDIS && redis_url_same_place(url, present->redis.url)) {
        url = present->redis.url;
    }
    char *now = xstrdup(url);
    pthread_mutex_unlock(&lock);
    return now;
}

static char *renewal_option(const struct config_pairs *options, const char *name) {
    for (size_t i = 0; i < options->count; i++) {
        if (strcmp(options->names[i], name) == 0) {
            return xstrdup(options->values[i]);
        }
    }
    return NULL;
}

static struct login_pair renewal_sasl(const char *brokers, bool after_refusal) {
    struct login_pair sasl = {0};
    renewal_lock(after_refusal);
    if (path && strcmp(brokers, present->kafka.brokers) == 0) {
        sasl.user = renewal_option(&present->kafka.options, "sasl.username");
        sasl.password = renewal_option(&present->kafka.options, "sasl.password");
    }
    pthread_mutex_unlock(&lock);
    if (!sasl.user || !sasl.password) {
        login_pair_free(&sasl);
    }
    return sasl;
}

static struct login_tls renewal_redis_tls(const char *url) {
    struct login_tls tls = {0};
    renewal_lock(false);
    if (path && redis_url_same_place(url, present->redis.url)) {
        tls.ca = xstrdup(present->redis.tls_ca);
        tls.certificate = xstrdup(present->redis.tls_certificate);
        tls.key = xstrdup(present->redis.tls_key);
    }
    pthread_mutex_unlock(&lock);
    return tls;
}

static struct login_pair renewal_redis_sentinel(const char *url) {
    struct login_pair login = {0};
    renewal_lock(false);
    if (path && redis_url_same_place(url, present->redis.url)) {
        login.user = xstrdup(present->redis.sentinel_user);
        login.password = xstrdup(present->redis.sentinel_password);
    }
    pthread_mutex_unlock(&lock);
    return login;
}

void renewal_begin(const char *config_path, const struct config *config) {
    static const struct login_source source = {renewal_url, renewal_sasl, renewal_redis_tls,
                                               renewal_redis_sentinel};
    pthread_mutex_lock(&reading);
    pthread_mutex_lock(&lock);
    path = xstrdup(config_path);
    present = config_ref(config);
    pthread_mutex_unlock(&lock);
    stamp = renewal_files_stamp();
    pthread_mutex_unlock(&reading);
    login_set_source(&source);
}
