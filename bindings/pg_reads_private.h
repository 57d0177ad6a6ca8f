/* pg_reads_private: shared by pg_reads*.c. */
#pragma once

#include <stdatomic.h>

#include "base/metrics.h"
#include "base/thread.h"
#include "pg_reads.h"

#define READS_NAME_CAP 128

enum reads_result {
    READS_ANSWERED,
    READS_WAITED, /* answered after it had caught up */
    READS_BEHIND, /* not asked: it has not replayed enough */
    READS_FAILED, /* unavailable, or it ended the query */
    READS_RESULTS
};

struct reads_server {
    char *url;                 /* secret */
    char name[READS_NAME_CAP]; /* host:port, for operators */
    struct metric_cell *results[READS_RESULTS];
    struct metric_cell *used, *behind_bytes;
    /* Under the lock. */
    bool is_away;          /* unavailable, until the watch has reached it */
    bool is_late;          /* the watch found it behind what is required */
    struct pg_position at; /* as the watch found it */
    char error[256];       /* why it is away, without secrets; "": it is not */
    /* The watch's own. */
    struct pg *pg;
    int failures;
    int64_t next_us; /* when it is asked */
};

struct reads {
    struct pg_reads_options options; /* owns the primary's URL; without the replicas' */
    struct reads_server *servers;
    size_t count;
    _Atomic size_t turn;                     /* which replica is asked first */
    struct metric_cell *answered, *unproven; /* at the primary */
    struct thread thread;                    /* its lock guards what follows */
    struct pg_position announced, bound;     /* a replica must have replayed both */
    struct pg_position newest;               /* of the primary */
    bool is_known;      /* the primary told `newest` after the last forgetting */
    unsigned forgotten; /* how often */
    struct pg *pg;      /* the watch's own */
    bool primary_logged;
};

/* NULL: off. */
extern struct reads *reads_present;

/* pg_reads.c */
/* The replica could not be reached or ended a query: others are asked until the watch reaches it.
 */
void reads_note_away(struct reads *reads, struct reads_server *server, const struct err *err);
/* Under the lock: pg_reads_forget. */
void reads_forget_locked(struct reads *reads);
/* Under the lock: what a replica must have replayed. */
struct pg_position reads_required(const struct reads *reads);

/* pg_reads_watch.c: the thread's body. */
void *reads_watch_main(void *reads);
/* pg_reads_report.c */
void reads_make_metrics(struct reads *reads);
/* Under the lock. */
void reads_show_server(const struct reads *reads, const struct reads_server *server);
