/* pg_reads_watch: asks the primary for its position, which bounds how old a read may be, and the
 * replicas for theirs, so that no request waits for one that is away or far behind. */
#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "pg_reads_private.h"

#define ASK_MS 500
#define SHORTEST_TURN_US 20000
#define AWAY_FIRST_US 250000
#define AWAY_LAST_US 4000000

/* The position of all that is committed. A standby's would prove nothing. */
static bool reads_watch_ask_primary(struct reads *reads, struct pg_position *position,
                                    struct err *err) {
    bool in_recovery = false;
    bool ok = pg_wake(reads->pg, ASK_MS, err) &&
              pg_position_ask(reads->pg, ASK_MS, position, &in_recovery, err);
    if (ok && in_recovery) {
        pg_disconnect(reads->pg); /* the next connection may reach the primary */
        return err_set(err, ERR_UNAVAILABLE, "postgres.url leads to a standby");
    }
    return ok;
}

/* The position of one turn before is the bound: a replica has had a turn's time to replay it. */
static void reads_watch_take_position(struct reads *reads, struct pg_position position,
                                      unsigned forgotten) {
    thread_lock(&reads->thread);
    if (reads->is_known && !pg_position_reached(position, reads->newest)) {
        reads_forget_locked(reads); /* another database: this one is behind its own past */
    } else if (forgotten == reads->forgotten) {
        reads->bound = reads->is_known ? reads->newest : position;
        reads->newest = position;
        reads->is_known = true;
    }
    thread_unlock(&reads->thread);
}

static void reads_watch_primary(struct reads *reads) {
    struct err err = {0};
    struct pg_position position;
    thread_lock(&reads->thread);
    unsigned forgotten = reads->forgotten;
    thread_unlock(&reads->thread);
    bool ok = reads_watch_ask_primary(reads, &position, &err);
    if (ok) {
        reads_watch_take_position(reads, position, forgotten);
    } else if (!reads->primary_logged) {
        log_warning("the primary does not tell its position: replicas answer without a bound on "
                    "their lag, except for announced commits",
                    LOG_TEXT("error", err.text));
    }
    reads->primary_logged = !ok;
}

static void reads_watch_note_replica(struct reads *reads, struct reads_server *server,
                                     struct pg_position position) {
    thread_lock(&reads->thread);
    bool was_away = server->is_away;
    server->is_away = false;
    server->error[0] = '\0';
    server->at = position;
    server->is_late = reads->is_known && !pg_position_reached(position, reads->bound);
    reads_show_server(reads, server);
    thread_unlock(&reads->thread);
    server->failures = 0;
    if (was_away) {
        log_info("a replica is back", LOG_TEXT("server", server->name));
    }
}

static void reads_watch_replica(struct reads *reads, struct reads_server *server, int64_t now_us) {
    struct err err = {0};
    struct pg_position position;
    if (now_us < server->next_us) {
        return;
    }
    if (pg_wake(server->pg, ASK_MS, &err) &&
        pg_position_ask(server->pg, ASK_MS, &position, NULL, &err)) {
        reads_watch_note_replica(reads, server, position);
        return;
    }
    reads_note_away(reads, server, &err);
    server->next_us =
        clock_monotonic_us() + backoff_us(server->failures++, AWAY_FIRST_US, AWAY_LAST_US);
}

void *reads_watch_main(void *context) {
    struct reads *reads = context;
    int64_t turn_us = reads->options.max_lag_ms * 1000LL / 2;
    bool stopping = false;
    thread_set_own_name("replicas");
    while (!stopping) {
        int64_t began_us = clock_monotonic_us();
        reads_watch_primary(reads);
        for (size_t i = 0; i < reads->count; i++) {
            reads_watch_replica(reads, &reads->servers[i], began_us);
        }
        thread_lock(&reads->thread);
        bool known = reads->is_known;
        bool soon = !known && !reads->primary_logged;
        while (thread_sleep(&reads->thread, began_us + (soon ? SHORTEST_TURN_US : turn_us)) &&
               reads->is_known == known) {
        }
        stopping = reads->thread.stopping;
        thread_unlock(&reads->thread);
    }
    return NULL;
}
