/* pg_reads: which server answers a read. A replica does if it has replayed what this process was
 * told of: each commit that was announced to the caches, and all that the primary had committed
 * max_lag_ms ago. If it has not it may catch up for wait_ms; then another replica is asked, and at
 * last the primary. A process has one such set of servers; without one every read goes to the
 * primary. Any thread.
 *
 *   pg_reads.c        what has to be replayed; the choice for one call of a script
 *   pg_reads_watch.c  a thread that asks primary and replicas for their positions
 *   pg_reads_report.c what operators see */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "pg.h"
#include "pg_position.h"

struct pg_reads_options {
    const char *primary_url;
    char *const *urls; /* of the replicas */
    size_t count;      /* 0: pg_reads_start does nothing */
    int max_lag_ms;
    int wait_ms;
    int connect_timeout_ms;
};

/* Copies the options and starts the thread. Needs no server. Once. */
bool pg_reads_start(const struct pg_reads_options *options, struct err *err);
void pg_reads_stop(void); /* after the last read */
bool pg_reads_on(void);

/* A commit up to here was announced: from now on a replica must have replayed it. */
void pg_reads_announce(struct pg_position committed);
/* Announcements may have been missed, or the database is another one: no replica is asked until the
 * primary has told its position, within max_lag_ms / 2. */
void pg_reads_forget(void);

/* The servers of one call of a script, which keeps to one while it can, so that a later query of
 * the call does not see less than an earlier one. Zeroed at first. */
struct pg_read {
    size_t server; /* counted from 1; 0: none was asked yet */
    bool at_primary;
    struct pg_position seen;
};

/* A connected replica that is fit for the call: the caller gives it back with pg_give_back. NULL:
 * ask the primary. `options` are those of the primary's connection. */
struct pg *pg_reads_borrow(struct pg_read *read, const struct pg_options *options, int timeout_ms);
/* A query of the call at its replica has failed. True: the reason is the replica, and the primary
 * may answer the same query. */
bool pg_reads_fall_back(struct pg_read *read, const struct err *err);

/* Appends `"reads":[…]`, one object a replica; null without replicas. */
void pg_reads_report(struct buffer *json);
