/* rows: the relay's SQL: lease, pending messages, their outcome, their number, pruning. One thread;
 * every call is one statement and waits for it. */
#pragma once

#include "bindings/pg.h"

struct rows {
    struct pg *pg;
    struct pg_params *params;
    const char *holder; /* identifies this process */
    bool alone;         /* by the last claim: no other process reports to `instances` */
    int horizon_hours;
    int keep_rows;
    int64_t until_us; /* statements end by then, by the monotonic clock; 0: no such time */
};

/* From the last claim. */
#define ROWS_LEASE_MS 5000
#define ROWS_STATEMENT_MS 5000

/* `most_ms`, or what is left until `until_us`; at least 1. */
int rows_timeout_ms(const struct rows *rows, int most_ms);

enum rows_lease {
    ROWS_MINE,
    ROWS_OTHERS,
    ROWS_RUN_OUT, /* another's, expired: rows_claim may take it over */
};
/* Takes or renews the lease. Takes another's expired lease only with `takes_over`: an outage of the
 * database may have kept its holder from renewing it. */
bool rows_claim(struct rows *rows, bool takes_over, enum rows_lease *lease, struct err *err);
/* Releases the lease: another process can take it at once. */
bool rows_release(struct rows *rows, struct err *err);

/* The columns of rows_take. */
enum { ROW_ID, ROW_TOPIC, ROW_KEY, ROW_VALUE, ROW_HEADERS, ROW_TRACEPARENT, ROW_CREATED, ROW_OLD };
/* Messages that rows_take skips. */
struct rows_skipped {
    const int64_t *in_flight;
    size_t in_flight_count;
    const char *const *topics;
    size_t topic_count;
};
/* Pending messages in order of their ids, up to `limit` rows, and `bytes` or one row. ROW_CREATED
 * is in microseconds since 1970. The caller frees *taken with pg_rows_free. */
bool rows_take(struct rows *rows, const struct rows_skipped *skipped, size_t limit, size_t bytes,
               struct pg_result **taken, struct err *err);

/* Whether the fact of a taken row is past the horizon. */
bool rows_is_old(const struct pg_result *taken, int row);

/* The outcome of a message that was taken. */
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

/* Deletes done rows, some ROWS_PRUNED at a time; *pruned counts them. Only facts past the horizon
 * are deleted: derived again they become `settled`, and are not sent twice. */
#define ROWS_PRUNED 10000
bool rows_prune(struct rows *rows, int64_t *pruned, struct err *err);
