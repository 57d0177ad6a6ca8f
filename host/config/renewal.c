#include "renewal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bindings/login.h"
#include "bindings/pg_url.h"
#include "bindings/redis.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/xalloc.h"

/* Where a login is refused again and again the file is not read more often. */
#define REREAD_INTERVAL_US 1000000

/* Guards the others. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *path; /* NULL: nothing is renewed */
static const struct config *present;
static uint64_t stamp;    /* of the files that it was read from */
static int64_t reread_us; /* when that was last done because of a refusal */
static char *complaint;   /* the last one in the log: why it cannot be read; NULL: it can */

/* ---- reading again ------------------------------------------------------------------------- */

/* Another one after a file was written, replaced or, as a mounted secret is, led to by a link. */
static uint64_t renewal_file_stamp(const char *name, uint64_t before) {
    struct stat about = {0};
    if (stat(name, &about) != 0) {
        return before * 31;
    }
    const uint64_t facts[] = {
        before,
        (uint64_t)about.st_dev,
        (uint64_t)about.st_ino,
        (uint64_t)about.st_size,
        (uint64_t)about.st_mtim.tv_sec,
        (uint64_t)about.st_mtim.tv_nsec,
        (uint64_t)about.st_ctim.tv_sec,
        (uint64_t)about.st_ctim.tv_nsec,
    };
    return hash64((struct slice){(const char *)facts, sizeof facts});
}

static uint64_t renewal_files_stamp(void) {
    uint64_t all = renewal_file_stamp(path, 1);
    for (size_t i = 0; i < present->secret_files.count; i++) {
        all = renewal_file_stamp(present->secret_files.items[i], all);
    }
    return all;
}

/* Once for each reason in a row. */
static void renewal_complain(const char *reason) {
    if (reason && (!complaint || strcmp(complaint, reason) != 0)) {
        log_warning("the configuration cannot be read again: logins stay as they are",
                    LOG_TEXT("error", reason));
    }
    free(complaint);
    complaint = reason ? xstrdup(reason) : NULL;
}

static void renewal_reread(void) {
    struct err err = {0};
    stamp =
        renewal_files_stamp(); /* before it is read: what is written meanwhile is read next time */
    struct config *fresh = config_load(path, &err);
    renewal_complain(fresh ? NULL : err.text);
    if (fresh) {
        config_unref(present);
        present = fresh;
        stamp = stamp == renewal_files_stamp() ? stamp : 0; /* perhaps it names other files */
    }
}

static void renewal_reread_if_due(bool refused) {
    int64_t now_us = clock_monotonic_us();
    bool due = refused && now_us - reread_us >= REREAD_INTERVAL_US;
    if (due) {
        reread_us = now_us;
    }
    if (due || renewal_files_stamp() != stamp) {
        renewal_reread();
    }
}

/* ---- URLs ---------------------------------------------------------------------------------- */

/* Under the lock. */
static const char *renewal_url_now(enum login_of of, const char *url) {
    if (of == LOGIN_POSTGRES) {
        return pg_url_same_place(url, present->postgres.url) ? present->postgres.url : url;
    }
    return redis_url_same_place(url, present->redis.url) ? present->redis.url : url;
}

static char *renewal_url(enum login_of of, const char *url, bool refused) {
    pthread_mutex_lock(&lock);
    if (path) {
        renewal_reread_if_due(refused);
    }
    char *now = xstrdup(path ? renewal_url_now(of, url) : url);
    pthread_mutex_unlock(&lock);
    return now;
}

/* ---- SASL ---------------------------------------------------------------------------------- */

static char *renewal_option(const struct config_pairs *options, const char *name) {
    for (size_t i = 0; i < options->count; i++) {
        if (strcmp(options->names[i], name) == 0) {
            return xstrdup(options->values[i]);
        }
    }
    return NULL;
}

static struct login_sasl renewal_sasl(const char *brokers, bool after_refusal) {
    struct login_sasl sasl = {0};
    pthread_mutex_lock(&lock);
    if (path) {
        renewal_reread_if_due(after_refusal);
    }
    if (path && strcmp(brokers, present->kafka.brokers) == 0) {
        sasl.user = renewal_option(&present->kafka.options, "sasl.username");
        sasl.password = renewal_option(&present->kafka.options, "sasl.password");
    }
    pthread_mutex_unlock(&lock);
    if (!sasl.user || !sasl.password) {
        login_sasl_free(&sasl);
    }
    return sasl;
}

void renewal_begin(const char *config_path, const struct config *config) {
    static const struct login_source source = {renewal_url, renewal_sasl};
    pthread_mutex_lock(&lock);
    path = xstrdup(config_path);
    present = config_ref(config);
    stamp = renewal_files_stamp();
    pthread_mutex_unlock(&lock);
    login_set_source(&source);
}
