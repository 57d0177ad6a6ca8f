/* rows: what the relay asks of the database: the lease, pending messages, what became of them, how
 * many there are, and which may leave. One thread; every call is one statement and waits for it. */
#ifndef AGG_HOST_OUTBOX_ROWS_H
#define AGG_HOST_OUTBOX_ROWS_H

#include "bindings/pg.h"

struct rows {
    struct pg *pg;
    struct pg_params *params;
    const char *holder; /* who this process is to others */
    int horizon_hours;
    int keep_rows;
};

/* How long a lease lasts, from when it was last asked for. */
#define ROWS_LEASE_MS 5000
#define ROWS_STATEMENT_MS 5000

enum rows_lease {
    ROWS_MINE,
    ROWS_OTHERS,
    ROWS_RUN_OUT, /* another's, and not renewed in time: to be taken over by rows_claim */
};
/* Takes or renews the lease. One that another process has let run out is left to it, unless
 * `takes_over`: it may just have been cut off from the database, as this process was. */
bool rows_claim(struct rows *rows, bool takes_over, enum rows_lease *lease, struct err *err);
/* Gives it back, so that another process takes it at once. */
bool rows_release(struct rows *rows, struct err *err);

/* The columns of rows_take. */
enum { ROW_ID, ROW_TOPIC, ROW_KEY, ROW_VALUE, ROW_HEADERS, ROW_TRACEPARENT, ROW_CREATED, ROW_OLD };
/* Pending messages in order of their ids, without those of `flying` and of the resting topics; up
 * to `limit` rows, and `bytes` or one row. ROW_CREATED is in microseconds since 1970; ROW_OLD is
 * "t" for a fact past the horizon. *taken is the caller's to pg_rows_free. */
struct rows_passed_over {
    const int64_t *flying;
    size_t flying_count;
    const char *const *topics;
    size_t topic_count;
};
bool rows_take(struct rows *rows, const struct rows_passed_over *passed_over, size_t limit,
               size_t bytes, struct pg_result **taken, struct err *err);

/* What became of a message that was taken. */
enum row_outcome { ROW_SENT, ROW_SETTLED, ROW_FAILED, ROW_PENDING };
struct row_result {
    int64_t id;
    enum row_outcome outcome;
    const char *error; /* NULL: none */
};
bool rows_note(struct rows *rows, const struct row_result *results, size_t count, struct err *err);

struct rows_depth {
    int64_t pending; /* up to ROWS_DEPTH_MAX */
    int64_t failed;  /* likewise */
    double oldest_s; /* age of the oldest pending one; 0: none */
};
#define ROWS_DEPTH_MAX 100000
bool rows_measure(struct rows *rows, struct rows_depth *depth, struct err *err);

/* Deletes rows that nobody needs any longer, up to ROWS_PRUNED at a time; *pruned counts them. Only
 * facts past the horizon leave: derived once more they would be settled, not sent. */
#define ROWS_PRUNED 10000
bool rows_prune(struct rows *rows, int64_t *pruned, struct err *err);

#endif
