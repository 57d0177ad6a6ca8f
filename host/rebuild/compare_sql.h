/* compare_sql: SQL that compares a table of the live view with its shadow, and repairs it.
 *
 * For each key it computes the wanted row: the shadow's, except that a group of the live row stays
 * if it wins over the shadow's by the declared rule and its event cannot be derived again. Such an
 * event is older than what the log has lost (retention, compaction) or stands in the shadow's
 * outside_events. Minima, maxima and sets name no event: the live ones stay if there are such
 * events, a set as the union of both.
 *
 * A table of differences has the wanted columns and (in capitals, as no declared column is):
 * KIND     missing | extra | differing: of the live row
 * COLUMNS  text[], the columns that differ
 * LIVE     the live row as jsonb */
#pragma once

#include "base/buffer.h"
#include "view/view.h"

struct compare_scope {
    const char *live;   /* the live schema, quoted */
    const char *shadow; /* the shadow's schema */
    /* Older events may be missing in the log; 0: it is complete; INT64_MAX: any event. */
    int64_t lost_before_us;
    const char *since_xid; /* a transaction, decimal; of COMPARE_RECENT */
    bool outside;          /* there are outside_events */
    bool expires;          /* the shadow lacks what is expired: lost_before_us is past that */
    bool own_versions;     /* a version does not differ because a column of its group does */
};

enum compare_statement {
    COMPARE_CANDIDATES, /* makes "candidates_<table>" in the shadow's schema, from all rows */
    COMPARE_ALL,        /* makes "differences_<table>", from all rows */
    /* … from the keys in "candidates_<table>" and the rows written since since_xid. */
    COMPARE_RECENT,
    /* Rows that keep what the log has lost: total, and key text, by key; at most $1 rows. */
    COMPARE_KEPT,
    /* Rows that keep what events of outside_events wrote: total, key text, and for each group the
     * event's place, its handler and the system it asked; at most $1 rows. */
    COMPARE_OUTSIDE,
    /* All below read "differences_<table>". KIND and count. */
    COMPARE_COUNTS,
    /* KIND, key text, column, live value, wanted value, for the first $1 rows: differing rows
     * column by column, the others with their versions. */
    COMPARE_REPORT,
    COMPARE_ROWS, /* KIND, its count, key text, for the first $1 rows of each kind */
    /* Column, its count of rows, key text, live value, shadow's value, for the first $1 rows of
     * each column. Long values are cut. */
    COMPARE_COLUMNS,
    COMPARE_IDS, /* each text in the rows to change, before or after: surrogate keys for caches */
    COMPARE_DELETE, /* deletes the extra rows */
    COMPARE_UPSERT, /* writes the missing and differing rows as wanted */
};
/* Appends the statement. */
void compare_sql(const struct compare_scope *scope, const struct view_table *table,
                 enum compare_statement statement, struct buffer *sql);
