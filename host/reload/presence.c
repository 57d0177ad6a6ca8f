#include "presence.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../bindings/pg.h"
#include "../base/clock.h"
#include "../base/json_put.h"
#include "../base/log.h"
#include "../script/script.h"
#include "../base/xalloc.h"

#define INTERVAL_US 10000000
/* Short: who stops the program waits for both. */
#define CONNECT_TIMEOUT_MS 1500
#define STATEMENT_TIMEOUT_MS 1000

/* Times of this process are microseconds since 1970. Who is not heard of for a day is forgotten. */
static const char announce_sql[] =
    "WITH forgotten AS (DELETE FROM instances WHERE last_seen < now() - interval '1 day' "
    "AND (consumer_group, instance) <> ($1::text, $2::text)) "
    "INSERT INTO instances (consumer_group, instance, host, started_at, last_seen, generation, "
    "scripts, since) VALUES ($1::text, $2::text, $3::text, "
    "'epoch'::timestamptz + $4::int8 * interval '1 us', now(), $5::int8, $6::text, "
    "'epoch'::timestamptz + $7::int8 * interval '1 us') "
    "ON CONFLICT (consumer_group, instance) DO UPDATE SET host = excluded.host, "
    "started_at = excluded.started_at, last_seen = now(), stopped_at = NULL, "
    "generation = excluded.generation, scripts = excluded.scripts, since = excluded.since";

static const char stop_sql[] =
    "UPDATE instances SET last_seen = now(), stopped_at = now() WHERE consumer_group = $1::text "
    "AND instance = $2::text AND started_at = 'epoch'::timestamptz + $3::int8 * interval '1 us'";

/* Of this instance, this host, the group; and where none of it was seen lately, what handled the
 * group's last event. */
static const char before_sql[] =
    "SELECT scripts, instance, (extract(epoch FROM seen) * 1e6)::int8::text FROM ("
    "SELECT scripts, instance, last_seen AS seen, 1 + (host = $3::text)::int "
    "+ 2 * (instance = $2::text)::int AS nearness FROM instances WHERE consumer_group = $1::text "
    "AND started_at < 'epoch'::timestamptz + $4::int8 * interval '1 us' "
    "UNION ALL SELECT scripts, NULL, last_time, 0 FROM consumer_offsets "
    "WHERE consumer_group = $1::text AND scripts IS NOT NULL) AS known "
    "ORDER BY nearness DESC, seen DESC NULLS LAST LIMIT 1";

struct scripts {
    uint64_t generation; /* 0: none yet */
    char hash[SCRIPT_HASH_LEN + 1];
    int64_t since_us; /* Unix */
};

struct before {
    bool known;                     /* what follows has been asked for */
    char hash[SCRIPT_HASH_LEN + 1]; /* "": nothing ran before */
    char instance[256];             /* "": the offsets say so */
    int64_t seen_us;                /* Unix */
};

struct presence {
    const struct config *config;
    char host[256];
    char instance[256];
    int64_t started_us; /* Unix */
    pthread_t thread;
    struct pg *pg; /* the thread's own, as the next two */
    struct pg_params *params;
    bool failed; /* the last time */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* to the thread */
    bool stopping, is_new;  /* is_new: the scripts are not announced yet */
    struct scripts scripts;
    char first_hash[SCRIPT_HASH_LEN + 1]; /* of the scripts that it started with */
    struct before before;
};

/* ---- the database -------------------------------------------------------------------------- */

static void add_key(struct presence *presence) {
    pg_params_add_text(presence->params, slice_of(presence->config->kafka.group));
    pg_params_add_text(presence->params, slice_of(presence->instance));
}

static bool query(struct presence *presence, const char *name, const char *sql, PGresult **rows,
                  struct err *err) {
    bool ok = pg_query(presence->pg, name, sql, presence->params, STATEMENT_TIMEOUT_MS, rows, err);
    pg_params_reset(presence->params);
    return ok;
}

static void copy_cell(const PGresult *rows, int column, char *to, size_t cap) {
    snprintf(to, cap, "%s", PQgetvalue(rows, 0, column)); /* "" where it is null */
}

/* Once, before the row that is asked for may be overwritten. */
static bool look_back(struct presence *presence, struct err *err) {
    struct before before = {.known = true};
    PGresult *rows;
    add_key(presence);
    pg_params_add_text(presence->params, slice_of(presence->host));
    pg_params_add_int8(presence->params, presence->started_us);
    if (!query(presence, "presence_before", before_sql, &rows, err)) {
        return false;
    }
    if (PQntuples(rows) > 0) {
        copy_cell(rows, 0, before.hash, sizeof before.hash);
        copy_cell(rows, 1, before.instance, sizeof before.instance);
        before.seen_us = strtoll(PQgetvalue(rows, 0, 2), NULL, 10);
    }
    PQclear(rows);
    pthread_mutex_lock(&presence->lock);
    presence->before = before;
    bool differs = before.hash[0] && strcmp(before.hash, presence->first_hash) != 0;
    pthread_mutex_unlock(&presence->lock);
    if (differs) {
        log_info("other scripts run since this start than before it",
                 LOG_TEXT("scripts", presence->first_hash), LOG_TEXT("before", before.hash));
    }
    return true;
}

static bool announce(struct presence *presence, const struct scripts *scripts, struct err *err) {
    if (!pg_wake(presence->pg, CONNECT_TIMEOUT_MS, err) ||
        (!presence->before.known && !look_back(presence, err))) {
        return false;
    }
    add_key(presence);
    pg_params_add_text(presence->params, slice_of(presence->host));
    pg_params_add_int8(presence->params, presence->started_us);
    pg_params_add_int8(presence->params, (int64_t)scripts->generation);
    pg_params_add_text(presence->params, slice_of(scripts->hash));
    pg_params_add_int8(presence->params, scripts->since_us);
    return query(presence, "presence", announce_sql, NULL, err);
}

static void announce_end(struct presence *presence) {
    struct err err = {0};
    add_key(presence);
    pg_params_add_int8(presence->params, presence->started_us);
    if (pg_connected(presence->pg) && !query(presence, "presence_end", stop_sql, NULL, &err)) {
        log_warning("the other instances are not told that this one stops",
                    LOG_TEXT("error", err.text));
    }
}

/* ---- the thread ---------------------------------------------------------------------------- */

/* Says what has changed, not what has not. */
static void note_outcome(struct presence *presence, bool ok, const struct err *err) {
    if (!ok && !presence->failed) {
        log_warning("the other instances are not told which scripts run here; tried again",
                    LOG_TEXT("error", err->text));
    } else if (ok && presence->failed) {
        log_info("the other instances are told again which scripts run here");
    }
    presence->failed = !ok;
}

/* False: stop. */
static bool wait_for_work(struct presence *presence, struct scripts *scripts) {
    int64_t next_us = clock_monotonic_us() + INTERVAL_US;
    int status = 0;
    pthread_mutex_lock(&presence->lock);
    while (!presence->is_new && !presence->stopping && status == 0) {
        status = clock_condition_wait(&presence->changed, &presence->lock, next_us);
    }
    presence->is_new = false;
    *scripts = presence->scripts;
    bool go_on = !presence->stopping;
    pthread_mutex_unlock(&presence->lock);
    return go_on;
}

static void *presence_main(void *context) {
    struct presence *presence = context;
    struct scripts scripts;
    while (wait_for_work(presence, &scripts)) {
        struct err err = {0};
        if (scripts.generation > 0) {
            bool ok = announce(presence, &scripts, &err);
            note_outcome(presence, ok, &err);
        }
    }
    announce_end(presence);
    return NULL;
}

/* ---- start and stop ------------------------------------------------------------------------ */

static const char *static_member(const struct config *config) {
    const struct config_pairs *options = &config->kafka.options;
    for (size_t i = 0; i < options->count; i++) {
        if (strcmp(options->names[i], "group.instance.id") == 0) {
            return options->values[i];
        }
    }
    return NULL;
}

static void name_instance(struct presence *presence) {
    const char *member = static_member(presence->config);
    if (gethostname(presence->host, sizeof presence->host) != 0) {
        snprintf(presence->host, sizeof presence->host, "unknown");
    }
    presence->host[sizeof presence->host - 1] = '\0';
    if (member) {
        snprintf(presence->instance, sizeof presence->instance, "%s", member);
    } else {
        snprintf(presence->instance, sizeof presence->instance, "%.200s:%d:%" PRId64,
                 presence->host, (int)getpid(), presence->started_us / 1000000);
    }
}

static void free_presence(struct presence *presence) {
    pg_destroy(presence->pg);
    pg_params_destroy(presence->params);
    pthread_cond_destroy(&presence->changed);
    pthread_mutex_destroy(&presence->lock);
    free(presence);
}

struct presence *presence_start(const struct config *config, struct err *err) {
    struct pg_options options = {
        .url = config->postgres.url,
        .application_name = "aggregator presence",
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
    };
    struct presence *presence = xcalloc(1, sizeof *presence);
    presence->config = config;
    presence->started_us = clock_wall_us();
    presence->pg = pg_create(&options);
    presence->params = pg_params_create();
    pthread_mutex_init(&presence->lock, NULL);
    clock_condition_init(&presence->changed);
    name_instance(presence);
    if (pthread_create(&presence->thread, NULL, presence_main, presence) != 0) {
        err_set(err, ERR_INTERNAL, "cannot start the thread of the instance's presence");
        free_presence(presence);
        return NULL;
    }
    return presence;
}

void presence_stop(struct presence *presence) {
    if (!presence) {
        return;
    }
    pthread_mutex_lock(&presence->lock);
    presence->stopping = true;
    pthread_cond_signal(&presence->changed);
    pthread_mutex_unlock(&presence->lock);
    pthread_join(presence->thread, NULL);
    free_presence(presence);
}

/* ---- for others ---------------------------------------------------------------------------- */

void presence_set_scripts(struct presence *presence, uint64_t generation, const char *hash) {
    pthread_mutex_lock(&presence->lock);
    presence->scripts = (struct scripts){.generation = generation, .since_us = clock_wall_us()};
    snprintf(presence->scripts.hash, sizeof presence->scripts.hash, "%s", hash);
    if (!presence->first_hash[0]) {
        memcpy(presence->first_hash, presence->scripts.hash, sizeof presence->first_hash);
    }
    presence->is_new = true;
    pthread_cond_signal(&presence->changed);
    pthread_mutex_unlock(&presence->lock);
}

const char *presence_instance(const struct presence *presence) {
    return presence->instance;
}

void presence_append_before(struct presence *presence, struct buffer *json) {
    pthread_mutex_lock(&presence->lock);
    const struct before *before = &presence->before;
    if (before->hash[0]) {
        buffer_append_text(json, "{");
        json_put_text(json, "hash", slice_of(before->hash));
        json_put_bool(json, "same", strcmp(before->hash, presence->first_hash) == 0);
        json_put_text(json, "instance", slice_of(before->instance[0] ? before->instance : NULL));
        json_put_time(json, "last_seen", before->seen_us);
        buffer_append_text(json, "}");
    } else {
        buffer_append_text(json, "null");
    }
    pthread_mutex_unlock(&presence->lock);
}
