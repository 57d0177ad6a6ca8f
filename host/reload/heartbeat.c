#include "heartbeat.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bindings/pg.h"
#include "base/clock.h"
#include "base/json_put.h"
#include "base/log.h"
#include "base/thread.h"
#include "script/script.h"
#include "base/xalloc.h"
#include "reload/heartbeat.sql.h"

#define INTERVAL_US 10000000
/* Short: a stop of the program waits for both. */
#define CONNECT_TIMEOUT_MS 1500
#define STATEMENT_TIMEOUT_MS 1000

struct scripts {
    uint64_t generation; /* 0: none yet */
    char hash[SCRIPT_HASH_LEN + 1];
    int64_t since_us; /* Unix */
};

struct before {
    bool known;                     /* the query succeeded */
    char hash[SCRIPT_HASH_LEN + 1]; /* "": nothing ran before */
    char instance[256];             /* "": taken from the offsets */
    int64_t seen_us;                /* Unix */
};

struct heartbeat {
    const struct config *config;
    char host[256];
    char instance[256];
    int64_t started_us; /* Unix */
    struct thread thread;
    struct pg *pg; /* this and the next two: the thread's own */
    struct pg_params *params;
    bool failed; /* the last attempt */
    bool is_new; /* the scripts are not announced yet */
    struct scripts scripts;
    char first_hash[SCRIPT_HASH_LEN + 1]; /* at the start of the program */
    struct before before;
};

/* ---- the database -------------------------------------------------------------------------- */

static void heartbeat_add_key(struct heartbeat *heartbeat) {
    pg_params_add_text(heartbeat->params, slice_of(heartbeat->config->kafka.group));
    pg_params_add_text(heartbeat->params, slice_of(heartbeat->instance));
}

static bool heartbeat_query(struct heartbeat *heartbeat, const char *name, const char *sql,
                            struct pg_result **rows, struct err *err) {
    bool ok =
        pg_query(heartbeat->pg, name, sql, heartbeat->params, STATEMENT_TIMEOUT_MS, rows, err);
    pg_params_reset(heartbeat->params);
    return ok;
}

static void heartbeat_copy_cell(const struct pg_result *rows, int column, char *to, size_t cap) {
    snprintf(to, cap, "%s", pg_rows_text(rows, 0, column)); /* "" where it is null */
}

/* Once, before the first announcement overwrites the row. */
static bool heartbeat_look_back(struct heartbeat *heartbeat, struct err *err) {
    struct before before = {.known = true};
    struct pg_result *rows;
    heartbeat_add_key(heartbeat);
    pg_params_add_text(heartbeat->params, slice_of(heartbeat->host));
    pg_params_add_int8(heartbeat->params, heartbeat->started_us);
    if (!heartbeat_query(heartbeat, "presence_before", before_sql, &rows, err)) {
        return false;
    }
    if (pg_rows_count(rows) > 0) {
        heartbeat_copy_cell(rows, 0, before.hash, sizeof before.hash);
        heartbeat_copy_cell(rows, 1, before.instance, sizeof before.instance);
        before.seen_us = strtoll(pg_rows_text(rows, 0, 2), NULL, 10);
    }
    pg_rows_free(rows);
    thread_lock(&heartbeat->thread);
    heartbeat->before = before;
    bool differs = before.hash[0] && strcmp(before.hash, heartbeat->first_hash) != 0;
    thread_unlock(&heartbeat->thread);
    if (differs) {
        log_info("this start changed the scripts", LOG_TEXT("scripts", heartbeat->first_hash),
                 LOG_TEXT("before", before.hash));
    }
    return true;
}

static bool heartbeat_announce(struct heartbeat *heartbeat, const struct scripts *scripts,
                               struct err *err) {
    if (!pg_wake(heartbeat->pg, CONNECT_TIMEOUT_MS, err) ||
        (!heartbeat->before.known && !heartbeat_look_back(heartbeat, err))) {
        return false;
    }
    heartbeat_add_key(heartbeat);
    pg_params_add_text(heartbeat->params, slice_of(heartbeat->host));
    pg_params_add_int8(heartbeat->params, heartbeat->started_us);
    pg_params_add_int8(heartbeat->params, (int64_t)scripts->generation);
    pg_params_add_text(heartbeat->params, slice_of(scripts->hash));
    pg_params_add_int8(heartbeat->params, scripts->since_us);
    return heartbeat_query(heartbeat, "presence", announce_sql, NULL, err);
}

static void heartbeat_announce_end(struct heartbeat *heartbeat) {
    struct err err = {0};
    heartbeat_add_key(heartbeat);
    pg_params_add_int8(heartbeat->params, heartbeat->started_us);
    if (pg_connected(heartbeat->pg) &&
        !heartbeat_query(heartbeat, "presence_end", stop_sql, NULL, &err)) {
        log_warning("the table of instances does not have the stop of this one",
                    LOG_TEXT("error", err.text));
    }
}

/* ---- the thread ---------------------------------------------------------------------------- */

/* Logs changes only. */
static void heartbeat_note_outcome(struct heartbeat *heartbeat, bool ok, const struct err *err) {
    if (!ok && !heartbeat->failed) {
        log_warning(
            "the table of instances does not have the running scripts; the next attempt follows",
            LOG_TEXT("error", err->text));
    } else if (ok && heartbeat->failed) {
        log_info("the table of instances has the running scripts again");
    }
    heartbeat->failed = !ok;
}

/* False: stop. */
static bool heartbeat_wait_for_work(struct heartbeat *heartbeat, struct scripts *scripts) {
    int64_t next_us = clock_monotonic_us() + INTERVAL_US;
    thread_lock(&heartbeat->thread);
    while (!heartbeat->is_new && thread_sleep(&heartbeat->thread, next_us)) {
    }
    heartbeat->is_new = false;
    *scripts = heartbeat->scripts;
    bool go_on = !heartbeat->thread.stopping;
    thread_unlock(&heartbeat->thread);
    return go_on;
}

static void *heartbeat_main(void *context) {
    struct heartbeat *heartbeat = context;
    struct scripts scripts;
    while (heartbeat_wait_for_work(heartbeat, &scripts)) {
        struct err err = {0};
        if (scripts.generation > 0) {
            bool ok = heartbeat_announce(heartbeat, &scripts, &err);
            heartbeat_note_outcome(heartbeat, ok, &err);
        }
    }
    heartbeat_announce_end(heartbeat);
    return NULL;
}

/* ---- start and stop ------------------------------------------------------------------------ */

static void heartbeat_name_instance(struct heartbeat *heartbeat) {
    const char *member = config_kafka_instance(heartbeat->config);
    if (gethostname(heartbeat->host, sizeof heartbeat->host) != 0) {
        snprintf(heartbeat->host, sizeof heartbeat->host, "unknown");
    }
    heartbeat->host[sizeof heartbeat->host - 1] = '\0';
    if (member) {
        snprintf(heartbeat->instance, sizeof heartbeat->instance, "%s", member);
    } else {
        snprintf(heartbeat->instance, sizeof heartbeat->instance, "%.200s:%d:%" PRId64,
                 heartbeat->host, (int)getpid(), heartbeat->started_us / 1000000);
    }
}

static void heartbeat_free(struct heartbeat *heartbeat) {
    pg_destroy(heartbeat->pg);
    pg_params_destroy(heartbeat->params);
    thread_free(&heartbeat->thread);
    free(heartbeat);
}

struct heartbeat *heartbeat_start(const struct config *config, struct err *err) {
    struct pg_options options = {
        .url = config->postgres.url,
        .application_name = "aggregator heartbeat",
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
    };
    struct heartbeat *heartbeat = xcalloc(1, sizeof *heartbeat);
    heartbeat->config = config;
    heartbeat->started_us = clock_wall_us();
    heartbeat->pg = pg_create(&options);
    heartbeat->params = pg_params_create();
    thread_init(&heartbeat->thread);
    heartbeat_name_instance(heartbeat);
    if (!thread_start(&heartbeat->thread, heartbeat_main, heartbeat, "heartbeat", err)) {
        heartbeat_free(heartbeat);
        return NULL;
    }
    return heartbeat;
}

void heartbeat_stop(struct heartbeat *heartbeat) {
    if (!heartbeat) {
        return;
    }
    thread_stop(&heartbeat->thread);
    heartbeat_free(heartbeat);
}

/* ---- for others ---------------------------------------------------------------------------- */

void heartbeat_set_scripts(struct heartbeat *heartbeat, uint64_t generation, const char *hash) {
    thread_lock(&heartbeat->thread);
    heartbeat->scripts = (struct scripts){.generation = generation, .since_us = clock_wall_us()};
    snprintf(heartbeat->scripts.hash, sizeof heartbeat->scripts.hash, "%s", hash);
    if (!heartbeat->first_hash[0]) {
        memcpy(heartbeat->first_hash, heartbeat->scripts.hash, sizeof heartbeat->first_hash);
    }
    heartbeat->is_new = true;
    thread_wake(&heartbeat->thread);
    thread_unlock(&heartbeat->thread);
}

const char *heartbeat_instance(const struct heartbeat *heartbeat) {
    return heartbeat->instance;
}

void heartbeat_append_before(struct heartbeat *heartbeat, struct buffer *json) {
    thread_lock(&heartbeat->thread);
    const struct before *before = &heartbeat->before;
    if (before->hash[0]) {
        buffer_append_text(json, "{");
        json_put_text(json, "hash", slice_of(before->hash));
        json_put_bool(json, "same", strcmp(before->hash, heartbeat->first_hash) == 0);
        json_put_text(json, "instance", slice_of(before->instance[0] ? before->instance : NULL));
        json_put_time(json, "last_seen", before->seen_us);
        buffer_append_text(json, "}");
    } else {
        buffer_append_text(json, "null");
    }
    thread_unlock(&heartbeat->thread);
}
