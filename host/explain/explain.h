/* explain: which events made the rows of an id, and what lost against them. The rows say which
 * version won each group; topic, partition and offset, and the losers, come from reading Kafka's
 * log again through the handlers, without committing anything. Touches neither the view nor any
 * offset; one thread. */
#ifndef AGG_HOST_EXPLAIN_EXPLAIN_H
#define AGG_HOST_EXPLAIN_EXPLAIN_H

#include <stdio.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "rebuild/log_reader.h"
#include "view/sql_session.h"

#define EXPLAIN_SINCE_ROWS INT64_MIN /* an hour before the oldest version of the rows found */
#define EXPLAIN_SINCE_BEGINNING (-1)

struct explain_options {
    const struct config *config;
    const char *id;
    const char *word;  /* "batch": key columns batch or batch_…; NULL: any key column */
    const char *table; /* NULL: all */
    int64_t since_us;  /* broker time, or one of the above */
};

enum explain_outcome {
    EXPLAIN_WROTE,     /* its version stands in the row */
    EXPLAIN_REPEATED,  /* the same version once more */
    EXPLAIN_LOST,      /* by the group's rule */
    EXPLAIN_NOT_YET,   /* would win, and consumption has not come to it */
    EXPLAIN_NOT_THERE, /* would win, and should stand there: `aggregator verify` */
};

/* Where a record stands in Kafka. */
struct explain_place {
    size_t partition; /* of the reader */
    int64_t offset;
    int64_t stored_us;    /* by the broker; 0: unknown */
    struct slice scripts; /* hash of the generation that handled it last; absent: unknown */
    bool consumed;
};

/* What one event said of one group of a row. */
struct explain_event {
    size_t row;
    size_t group;
    struct merge_version version;
    struct view_value value; /* of a minimum or maximum */
    struct explain_place place;
    enum explain_outcome outcome;
    const char *rests_on; /* the binding whose answer the event rests on; NULL: derived again */
};

struct explain_held { /* by the row in the view */
    bool present;
    struct merge_version version;
};

struct explain_row {
    const struct view_table *table;
    const struct slice *key; /* as text, key_count */
    bool in_view;
    const struct explain_held *groups; /* group_count; of versioned ones only */
};

/* A record of the log that names the id and changed nothing, and is not in rejected_events. */
struct explain_other {
    struct explain_place place;
    bool rejected;        /* by the present scripts; else ignored by its handler */
    const char *rests_on; /* instead: it cannot be said, for it asked this binding */
    bool has_id;
    uint8_t event_id[16];
    struct slice reason, detail;
};

/* An event in rejected_events. */
struct explain_rejected {
    struct slice topic;
    int32_t partition;
    int64_t offset;
    struct slice rejected_at, reason, detail, event_id, handler, scripts; /* data NULL: unknown */
};

struct explanation {
    struct explain_options options;
    struct script_generation *generation;
    const struct view *view;
    struct arena *arena; /* of all that is pointed to */
    struct sql_session session;
    struct log_reader reader;
    struct explain_row *rows;
    size_t row_count;
    struct explain_event *events; /* by row, group, and winner first */
    size_t event_count;
    struct explain_other *others;
    size_t other_count;
    struct explain_rejected *rejected;
    size_t rejected_count;
    int64_t since_us;
    int64_t records_read;
};

/* Finds all that the struct holds. False: explain_close is still to be called. */
bool explain_open(struct explanation *explanation, const struct explain_options *options,
                  struct err *err);
void explain_close(struct explanation *explanation);

/* For people; at most so many events of each group. */
void explain_print(const struct explanation *explanation, size_t limit, FILE *out);
/* One JSON object, everything in it. */
void explain_json(const struct explanation *explanation, struct buffer *json);
const char *explain_outcome_name(enum explain_outcome outcome);
const char *explain_other_name(const struct explain_other *other);

/* ---- rows.c: what the database knows -------------------------------------------------------- */

bool explain_find_rows(struct explanation *explanation, struct err *err);
bool explain_find_rejected(struct explanation *explanation, struct err *err);
/* Fills in which scripts handled the events and others, and whether they were consumed. */
bool explain_find_scripts(struct explanation *explanation, struct err *err);
/* True where the word (or any, without one) names this key column. */
bool explain_is_asked(const struct explanation *explanation, const struct view_column *key);
size_t explain_add_row(struct explanation *explanation, const struct explain_row *row);

/* ---- scan.c: what the log knows ------------------------------------------------------------- */

bool explain_scan(struct explanation *explanation, struct err *err);

#endif
