/* explain: finds the events that made the rows of an id, the events that lost against them, and the
 * messages published from the rows. The rows name the version that won each group. The places of
 * events, and the losers, come from running the log through the handlers again. Messages come from
 * the outbox; the reactions say what they would publish now. Changes nothing. One thread. */
#pragma once

#include <stdio.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "outbox/outbox.h"
#include "pipeline/horizon.h"
#include "rebuild/log_reader.h"
#include "view/sql_session.h"

#define EXPLAIN_SINCE_ROWS INT64_MIN /* an hour before the oldest version in the rows */
#define EXPLAIN_SINCE_BEGINNING (-1)

struct explain_options {
    const struct config *config;
    const char *id;
    /* "batch": key columns batch or batch_…; "event": an event id; "outbox": the id or identity of
     * a message; NULL: any key column, or an event */
    const char *word;
    const char *table; /* NULL: all */
    int64_t since_us;  /* broker time, or one of the above */
};

enum explain_outcome {
    EXPLAIN_WROTE,    /* the row has its version */
    EXPLAIN_REPEATED, /* the same version again */
    EXPLAIN_LOST,     /* by the group's rule */
    EXPLAIN_NOT_YET,  /* would win, and is not consumed yet */
    EXPLAIN_MISSING,  /* would win, and was consumed: run `aggregator verify` */
    EXPLAIN_EXPIRED,  /* would win, and is older than what the view keeps: horizon.h */
};

/* Where a record stands in Kafka. */
struct explain_place {
    size_t partition; /* of the reader */
    int64_t offset;
    int64_t stored_us;    /* by the broker; 0: unknown */
    struct slice scripts; /* hash of the generation that handled it last; absent: unknown */
    bool consumed;
};

/* What one event wrote into one group of a row. */
struct explain_event {
    size_t row;
    size_t group;
    struct merge_version version;
    struct view_value value; /* of a minimum or maximum */
    struct explain_place place;
    enum explain_outcome outcome;
    const char *rests_on; /* the binding that the handler asked; NULL: derived again */
};

struct explain_held { /* in the view */
    bool present;
    struct merge_version version;
};

struct explain_row {
    const struct view_table *table;
    const struct slice *key; /* as text, key_count */
    bool in_view;
    struct explain_held *groups; /* group_count; of versioned ones only */
};

/* A record that contains the id, changed nothing and is not in rejected_events. */
struct explain_other {
    struct explain_place place;
    bool rejected; /* by the present scripts; else ignored by its handler */
    const char
        *rests_on; /* the binding that the handler asked: the outcome is unknown; else NULL */
    bool has_id;
    uint8_t event_id[16];
    struct slice reason, detail;
};

/* An event that its handler processed without failing, and whose messages are known therefore. */
struct explain_handled {
    size_t partition; /* of the reader */
    uint8_t event_id[16];
};

/* An event in rejected_events. */
struct explain_rejected {
    struct slice topic;
    int32_t partition;
    int64_t offset;
    struct slice json; /* of the report */
};

/* A message of the outbox. */
struct explain_message {
    struct slice id, source, about, key; /* id absent: the question names no message */
};

/* Where to look for the id; see question.c. */
struct explain_question {
    const char *id;
    const struct script_follow *columns;
    size_t column_count;
    bool in_lists; /* also lists of texts */
    bool by_event; /* also rows that this event wrote */
    uint8_t event_id[16];
    struct explain_message message;
    size_t reaction; /* only this one, of a message; SIZE_MAX: all */
};

/* A key that the rows give to a reaction. */
struct explain_reacted {
    size_t reaction; /* of the generation */
    struct slice name, key;
    const char *query;
    size_t made;                                  /* messages made from the rows of its query */
    struct slice error;                           /* of the query or the script; data NULL: none */
    struct slice marked_at, attempts, mark_error; /* its oldest mark; data NULL: none */
};

struct explanation {
    struct explain_options options;
    struct explain_question question;
    struct script_generation *generation;
    const struct view *view;
    struct arena *arena; /* owns what the pointers below point to */
    struct sql_session session;
    struct log_reader reader;
    struct horizon horizon;
    struct explain_row *rows;
    size_t row_count;
    struct explain_event *events; /* by row, group, and winner first */
    size_t event_count;
    struct explain_other *others;
    size_t other_count;
    struct explain_handled *handled; /* of events that concern the question */
    size_t handled_count;
    struct explain_rejected *rejected;
    size_t rejected_count;
    struct explain_reacted *reacted;
    size_t reacted_count, reacted_left_out;
    struct pg_result **answers;  /* by reaction: its query's rows for the keys; NULL: did not run */
    struct outbox_message *made; /* by the present scripts */
    size_t made_count;
    struct slice published; /* messages as elements of a JSON list: by id, then those not stored */
    struct slice asked_for; /* the one of the question, or absent */
    int64_t since_us;
    int64_t records_read;
    bool wrong_question; /* why explain_open failed: no such word, table or message, or no id */
};

/* Fills the struct. False: explain_close is still to be called. */
bool explain_open(struct explanation *explanation, const struct explain_options *options,
                  struct err *err);
void explain_close(struct explanation *explanation);

/* As one JSON object with everything. */
void explain_json(const struct explanation *explanation, struct buffer *json);
/* As text, with at most `limit` events of each group. */
bool explain_print(const struct explanation *explanation, int64_t limit, FILE *out,
                   struct err *err);
const char *explain_outcome_name(enum explain_outcome outcome);
const char *explain_other_name(const struct explain_other *other);
/* The name of the handler of a partition of the reader. */
const char *explain_handler_of(const struct explanation *explanation, size_t partition);

/* ---- question.c ----------------------------------------------------------------------------- */

/* ERR_INPUT: the only argument is a word that needs an id after it. */
bool explain_check_id(const struct explanation *explanation, struct err *err);
/* Fills in the question. ERR_INPUT: no such word or table; err lists them. */
bool explain_read_question(struct explanation *explanation, struct err *err);

/* ---- rows.c --------------------------------------------------------------------------------- */

/* Whether the id can be a value of a column of the type: a UUID, digits, any text. */
bool explain_can_be(enum view_type type, struct slice id);
/* The type of the ids in a list's column; VIEW_JSON: none, as in lists of small numbers. */
enum view_type explain_listed(enum view_type type);
bool explain_find_rows(struct explanation *explanation, struct err *err);
/* Of the rows that only the log names: whether they are in the view, and by which events. */
bool explain_look_up_rows(struct explanation *explanation, struct err *err);
bool explain_find_rejected(struct explanation *explanation, struct err *err);
/* Adds to events and others: which scripts handled them, and whether they were consumed. */
bool explain_find_scripts(struct explanation *explanation, struct err *err);
size_t explain_add_row(struct explanation *explanation, const struct explain_row *row);

/* ---- scan.c --------------------------------------------------------------------------------- */

bool explain_scan(struct explanation *explanation, struct err *err);

/* ---- today.c --------------------------------------------------------------------------------- */

#define EXPLAIN_REACTED_MAX 200 /* keys; more are counted and left out */
void explain_add_reacted(struct explanation *explanation, size_t reaction, struct slice key);
/* Copies the message. */
void explain_add_made(struct explanation *explanation, const struct outbox_message *message);
/* Runs the reactions for their keys. */
bool explain_react(struct explanation *explanation, struct err *err);

/* ---- published.c ----------------------------------------------------------------------------- */

/* Finds the message of the question. ERR_INPUT: there is none. */
bool explain_find_message(struct explanation *explanation, struct err *err);
/* Finds the messages of the rows and events, and the marks. */
bool explain_find_published(struct explanation *explanation, struct err *err);
