/* explain: which events made the rows of an id, what lost against them, and what was published of
 * the rows. The rows say which version won each group; topic, partition and offset, and the losers,
 * come from reading Kafka's log again through the handlers, without committing anything. What was
 * published comes from the outbox, and the reactions are asked what they would publish now. Touches
 * neither the view nor any offset nor the outbox; one thread. */
#ifndef AGG_HOST_EXPLAIN_EXPLAIN_H
#define AGG_HOST_EXPLAIN_EXPLAIN_H

#include <stdio.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "outbox/outbox.h"
#include "rebuild/log_reader.h"
#include "view/sql_session.h"

#define EXPLAIN_SINCE_ROWS INT64_MIN /* an hour before the oldest version of the rows found */
#define EXPLAIN_SINCE_BEGINNING (-1)

struct explain_options {
    const struct config *config;
    const char *id;
    /* "batch": key columns batch or batch_…; "event": the id is an event's; "outbox": a
     * message's, or its identity; NULL: any key column, or an event */
    const char *word;
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

/* Where the id is looked for; see question.c. */
struct explain_question {
    const char *id;
    const struct script_follow *columns;
    size_t column_count;
    bool in_lists; /* of texts, too */
    bool by_event; /* rows that this event wrote: */
    uint8_t event_id[16];
    size_t reaction; /* of a message of the outbox: only that one; SIZE_MAX: all */
};

/* A key that the rows found bring to a reaction. */
struct explain_reacted {
    size_t reaction; /* of the generation */
    struct slice key;
    size_t answers;     /* rows of the reaction's query for it, now */
    size_t made;        /* messages that follow from them */
    struct slice error; /* instead: of the query or the script; absent: none */
    struct slice marked_at, attempts, mark_error; /* its oldest mark; absent: none waits */
};

/* A message that follows by the present scripts. */
struct explain_made {
    struct outbox_message message;
    bool stored; /* the outbox has its identity */
};

enum explain_today {
    EXPLAIN_SAME,    /* the present scripts make the same message */
    EXPLAIN_CHANGED, /* … one of that identity with other content */
    EXPLAIN_UNMADE,  /* … none of that identity */
    EXPLAIN_UNKNOWN, /* what would make it is not known, or could not be run */
    EXPLAIN_NEW,     /* the outbox does not have it */
};

/* A message of the outbox, or one that would come into it. Texts are absent where unknown. */
struct explain_fact {
    struct slice id, state, topic, key, identity, source, about, scripts, traceparent, attempts,
        error, fact_at, created_at, done_at;
    enum explain_today today;
    struct slice value_today; /* where the outbox has another value, or none */
};

struct explanation {
    struct explain_options options;
    struct explain_question question;
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
    const struct explain_fact *asked_for; /* the message of the question; NULL: another question */
    struct explain_reacted *reacted;
    size_t reacted_count, reacted_left_out;
    struct pg_result *
        *answers; /* of each reaction's query for its keys in `reacted`; NULL: not asked */
    struct explain_made *made;
    size_t made_count;
    struct explain_fact *facts; /* in order of their ids, then those that are not stored */
    size_t fact_count;
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
const char *explain_today_name(enum explain_today today);

/* ---- question.c ----------------------------------------------------------------------------- */

/* Fills in the question. ERR_INPUT: it cannot be meant; err says what can. */
bool explain_read_question(struct explanation *explanation, struct err *err);

/* ---- rows.c: what the database knows -------------------------------------------------------- */

bool explain_find_rows(struct explanation *explanation, struct err *err);
bool explain_find_rejected(struct explanation *explanation, struct err *err);
/* Fills in which scripts handled the events and others, and whether they were consumed. */
bool explain_find_scripts(struct explanation *explanation, struct err *err);
size_t explain_add_row(struct explanation *explanation, const struct explain_row *row);

/* ---- scan.c: what the log knows ------------------------------------------------------------- */

bool explain_scan(struct explanation *explanation, struct err *err);

/* ---- today.c: what the present scripts publish ----------------------------------------------- */

#define EXPLAIN_REACTED_MAX 200 /* keys; more are counted and left out */
void explain_add_reacted(struct explanation *explanation, size_t reaction, struct slice key);
/* Copies the message. */
void explain_add_made(struct explanation *explanation, const struct outbox_message *message);
/* Asks the reactions about their keys. */
bool explain_react(struct explanation *explanation, struct err *err);

/* ---- facts.c: what the outbox has ------------------------------------------------------------ */

/* The message of the question. ERR_INPUT: there is none. */
bool explain_find_message(struct explanation *explanation, struct err *err);
/* The messages of the rows and events found, and the marks that wait. */
bool explain_find_facts(struct explanation *explanation, struct err *err);

/* ---- show_published.c ------------------------------------------------------------------------ */

void explain_print_published(const struct explanation *explanation, size_t limit, FILE *out);
void explain_put_published(const struct explanation *explanation, struct buffer *json);

#endif
