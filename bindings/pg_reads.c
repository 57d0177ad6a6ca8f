#include "pg_reads_private.h"

#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "pg_connection.h"
#include "pg_spare.h"
#include "pg_url.h"

#define OPEN_MS 500 /* to connect to a replica, or to have its position: then the next is asked */
#define LONGEST_LOOK_MS 8 /* between two looks at a replica that catches up */

struct reads *reads_present;

bool pg_reads_on(void) {
    return reads_present != NULL;
}

/* ---- what has to be replayed ---------------------------------------------------------------- */

void pg_reads_announce(struct pg_position committed) {
    struct reads *reads = reads_present;
    if (!reads) {
        return;
    }
    thread_lock(&reads->thread);
    if (pg_position_reached(committed, reads->announced)) {
        reads->announced = committed;
    }
    thread_unlock(&reads->thread);
}

void reads_forget_locked(struct reads *reads) {
    reads->announced = reads->bound = reads->newest = (struct pg_position){0};
    reads->is_known = false;
    reads->forgotten++;
    thread_wake(&reads->thread);
}

void pg_reads_forget(void) {
    struct reads *reads = reads_present;
    if (reads) {
        thread_lock(&reads->thread);
        reads_forget_locked(reads);
        thread_unlock(&reads->thread);
    }
}

struct pg_position reads_required(const struct reads *reads) {
    return pg_position_reached(reads->announced, reads->bound) ? reads->announced : reads->bound;
}

/* False: it is not known. */
static bool pg_reads_find_required(struct reads *reads, const struct pg_read *read,
                                   struct pg_position *required) {
    thread_lock(&reads->thread);
    bool known = reads->is_known;
    *required = reads_required(reads);
    thread_unlock(&reads->thread);
    if (pg_position_reached(read->seen, *required)) {
        *required = read->seen;
    }
    return known;
}

/* ---- one replica ---------------------------------------------------------------------------- */

static void pg_reads_count(const struct reads_server *server, enum reads_result result) {
    metric_add(server->results[result], 1);
}

void reads_note_away(struct reads *reads, struct reads_server *server, const struct err *err) {
    thread_lock(&reads->thread);
    bool is_new = !server->is_away;
    server->is_away = true;
    snprintf(server->error, sizeof server->error, "%.255s", pg_plain_reason(err));
    reads_show_server(reads, server);
    thread_unlock(&reads->thread);
    if (is_new) {
        log_warning("a replica is away: its reads go to the other servers",
                    LOG_TEXT("server", server->name), LOG_TEXT("error", err->text));
    }
}

/* False: another server is asked at once. */
static bool pg_reads_is_used(struct reads *reads, struct reads_server *server) {
    thread_lock(&reads->thread);
    bool away = server->is_away, late = server->is_late;
    thread_unlock(&reads->thread);
    if (late && !away) {
        pg_reads_count(server, READS_BEHIND);
    }
    return !away && !late;
}

/* Whether the server has replayed `required`; asks it unless the connection has noted so. A server
 * behind a pooler may be another one each time. False with err: it does not answer. */
static bool pg_reads_has_replayed(struct pg *pg, struct pg_position required, int timeout_ms,
                                  struct err *err) {
    if (!pg->pooled && pg_position_reached(pg->replayed, required)) {
        return true;
    }
    return pg_position_ask(pg, timeout_ms < OPEN_MS ? timeout_ms : OPEN_MS, &pg->replayed, NULL,
                           err) &&
           pg_position_reached(pg->replayed, required);
}

static void pg_reads_lose(struct reads *reads, struct reads_server *server, struct pg *pg,
                          const struct err *err) {
    pg_disconnect(pg);
    pg_give_back(pg); /* destroys it */
    pg_reads_count(server, READS_FAILED);
    reads_note_away(reads, server, err);
}

/* NULL: it is away, which is counted. */
static struct pg *pg_reads_open(struct reads *reads, struct reads_server *server,
                                const struct pg_options *options, int timeout_ms) {
    struct pg_options own = *options;
    struct err err = {0};
    own.url = server->url;
    own.replica = true;
    struct pg *pg = pg_borrow(&own);
    if (!pg_wake(pg, timeout_ms < OPEN_MS ? timeout_ms : OPEN_MS, &err)) {
        pg_reads_lose(reads, server, pg, &err);
        return NULL;
    }
    return pg;
}

/* ---- the choice ----------------------------------------------------------------------------- */

/* One choice of a server. */
struct reads_choice {
    struct reads *reads;
    struct pg_read *read;
    const struct pg_options *options;
    struct pg_position required;
    int64_t deadline_us;
    struct pg *late; /* the first replica that is behind; NULL: none */
    struct reads_server *late_server;
};

static struct pg *pg_reads_take(const struct reads_choice *choice, struct reads_server *server,
                                struct pg *pg, enum reads_result result) {
    choice->read->server = (size_t)(server - choice->reads->servers) + 1;
    choice->read->seen = pg->replayed;
    pg_reads_count(server, result);
    return pg;
}

/* A connection to the replica if it has replayed enough. Keeps that to the first one that has not.
 */
static struct pg *pg_reads_try(struct reads_choice *choice, struct reads_server *server) {
    struct err err = {0};
    int left_ms = clock_remaining_ms(choice->deadline_us);
    if (left_ms == 0 || !pg_reads_is_used(choice->reads, server)) {
        return NULL;
    }
    struct pg *pg = pg_reads_open(choice->reads, server, choice->options, left_ms);
    if (!pg) {
        return NULL;
    }
    if (pg_reads_has_replayed(pg, choice->required, left_ms, &err)) {
        return pg_reads_take(choice, server, pg, READS_ANSWERED);
    }
    if (err.kind != ERR_NONE) {
        pg_reads_lose(choice->reads, server, pg, &err);
    } else if (choice->late) {
        pg_reads_count(server, READS_BEHIND);
        pg_give_back(pg);
    } else {
        choice->late = pg;
        choice->late_server = server;
    }
    return NULL;
}

/* Waits for the replica that is behind. NULL: it still is. */
static struct pg *pg_reads_await(struct reads_choice *choice) {
    struct err err = {0};
    int64_t until_us = clock_monotonic_us() + choice->reads->options.wait_ms * 1000LL;
    until_us = until_us < choice->deadline_us ? until_us : choice->deadline_us;
    for (int look_ms = 1; err.kind == ERR_NONE && clock_remaining_ms(until_us) > 0; look_ms *= 2) {
        int left_ms = clock_remaining_ms(until_us);
        look_ms = look_ms < LONGEST_LOOK_MS ? look_ms : LONGEST_LOOK_MS;
        poll(NULL, 0, look_ms < left_ms ? look_ms : left_ms);
        if (pg_reads_has_replayed(choice->late, choice->required, OPEN_MS, &err)) {
            return pg_reads_take(choice, choice->late_server, choice->late, READS_WAITED);
        }
    }
    if (err.kind != ERR_NONE) {
        pg_reads_lose(choice->reads, choice->late_server, choice->late, &err);
        return NULL;
    }
    pg_reads_count(choice->late_server, READS_BEHIND);
    pg_give_back(choice->late);
    return NULL;
}

static struct pg *pg_reads_choose(struct reads_choice *choice) {
    struct reads *reads = choice->reads;
    size_t first = choice->read->server > 0 ? choice->read->server - 1
                                            : atomic_fetch_add(&reads->turn, 1) % reads->count;
    for (size_t i = 0; i < reads->count; i++) {
        struct pg *pg = pg_reads_try(choice, &reads->servers[(first + i) % reads->count]);
        if (pg) {
            if (choice->late) {
                pg_reads_count(choice->late_server, READS_BEHIND);
                pg_give_back(choice->late);
            }
            return pg;
        }
    }
    return choice->late ? pg_reads_await(choice) : NULL;
}

struct pg *pg_reads_borrow(struct pg_read *read, const struct pg_options *options, int timeout_ms) {
    struct reads_choice choice = {.reads = reads_present, .read = read, .options = options};
    if (!choice.reads || read->at_primary) {
        return NULL;
    }
    choice.deadline_us = clock_monotonic_us() + timeout_ms * 1000LL;
    bool known = pg_reads_find_required(choice.reads, read, &choice.required);
    struct pg *pg = known ? pg_reads_choose(&choice) : NULL;
    if (!pg) { /* it has all that a replica has shown */
        read->at_primary = true;
        metric_add(known ? choice.reads->answered : choice.reads->unproven, 1);
    }
    return pg;
}

/* 40001 of a replica: replay removed rows that the query needed. */
bool pg_reads_fall_back(struct pg_read *read, const struct err *err) {
    struct reads *reads = reads_present;
    bool conflict = strcmp(err->sqlstate, "40001") == 0 || strncmp(err->sqlstate, "57P", 3) == 0;
    bool lost = err->kind == ERR_UNAVAILABLE && !err->sqlstate[0];
    if (!reads || read->server == 0 || read->at_primary || (!conflict && !lost)) {
        return false;
    }
    struct reads_server *server = &reads->servers[read->server - 1];
    pg_reads_count(server, READS_FAILED);
    if (lost) {
        reads_note_away(reads, server, err);
    }
    read->at_primary = true;
    metric_add(reads->answered, 1);
    return true;
}

/* ---- start and stop ------------------------------------------------------------------------- */

static void pg_reads_free(struct reads *reads) {
    for (size_t i = 0; i < reads->count; i++) {
        pg_destroy(reads->servers[i].pg);
        free(reads->servers[i].url);
    }
    pg_destroy(reads->pg);
    free((char *)reads->options.primary_url);
    free(reads->servers);
    thread_free(&reads->thread);
    free(reads);
}

static struct pg *pg_reads_watch_connection(const struct reads *reads, const char *url,
                                            bool replica) {
    struct pg_options options = {
        .url = url,
        .application_name = "aggregator replicas",
        .connect_timeout_ms = reads->options.connect_timeout_ms < OPEN_MS
                                  ? reads->options.connect_timeout_ms
                                  : OPEN_MS,
        .statement_timeout_ms = OPEN_MS,
        .replica = replica,
        .uncounted = true,
    };
    return pg_create(&options);
}

bool pg_reads_start(const struct pg_reads_options *options, struct err *err) {
    if (options->count == 0) {
        return true;
    }
    struct reads *reads = xcalloc(1, sizeof *reads);
    reads->options = *options;
    reads->options.urls = NULL;
    reads->options.primary_url = xstrdup(options->primary_url);
    reads->count = options->count;
    reads->servers = xcalloc(reads->count, sizeof *reads->servers);
    thread_init(&reads->thread);
    reads->pg = pg_reads_watch_connection(reads, options->primary_url, false);
    for (size_t i = 0; i < reads->count; i++) {
        struct reads_server *server = &reads->servers[i];
        server->url = xstrdup(options->urls[i]);
        pg_url_name(server->url, server->name, sizeof server->name);
        server->pg = pg_reads_watch_connection(reads, server->url, true);
    }
    reads_make_metrics(reads);
    reads_present = reads;
    if (!thread_start(&reads->thread, reads_watch_main, reads, "replicas", err)) {
        reads_present = NULL;
        pg_reads_free(reads);
        return false;
    }
    return true;
}

void pg_reads_stop(void) {
    struct reads *reads = reads_present;
    if (reads) {
        thread_stop(&reads->thread);
        reads_present = NULL;
        pg_reads_free(reads);
    }
}
