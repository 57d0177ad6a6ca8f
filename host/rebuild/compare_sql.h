/* compare_sql: SQL that compares a table of the live view with its shadow, and repairs it.
 *
 * For each key it computes the wanted row: the shadow's, except that a group of the live row stays
 * if it wins over the shadow's by the declared rule and its event cannot be derived again. Such an
 * event is older than what the log has lost (retention, compaction) or stands in the shadow's
 * outside_events. Minima and maxima name no event: the live ones stay if there are such events.
 *
 * A table of differences has the wanted columns and (in capitals, as no declared column is):
 * KIND     missing | extra | differing: of the live row
 * COLUMNS  text[], the columns that differ
 * LIVE     the live row as jsonb */
#ifndef AGG_HOST_REBUILD_COMPARE_SQL_H
#define AGG_HOST_REBUILD_COMPARE_SQL_H

#include "base/buffer.h"
#include "view/view.h"

struct compare_scope {
    const char *live;   /* the live schema, quoted */
    const char *shadow; /* the shadow's schema */
    /* Older events may be missing in the log; 0: it is complete; INT64_MAX: any event. */
    int64_t lost_before_us;
    bool outside;      /* there are outside_events */
    bool own_versions; /* a version does not differ because a column of its group does */
};

/* Makes the table "<result>_<table>" in the shadow's schema, from all rows. */
void compare_sql_all(const struct compare_scope *scope, const struct view_table *table,
                     const char *result, struct buffer *sql);
/* Makes "differences_<table>" from the keys in "candidates_<table>" and the rows written since
 * transaction `since_xid` (decimal). */
void compare_sql_differences(const struct compare_scope *scope, const struct view_table *table,
                             const char *since_xid, struct buffer *sql);
/* Rows that keep what the log has lost: total, and key text, by key; at most $1 rows. */
void compare_sql_kept(const struct compare_scope *scope, const struct view_table *table,
                      struct buffer *sql);
/* Rows that keep what events of outside_events wrote: total, key text, and for each group the
 * event's place, its handler and the system it asked; at most $1 rows. */
void compare_sql_outside(const struct compare_scope *scope, const struct view_table *table,
                         struct buffer *sql);
/* All below read "differences_<table>". KIND and count. */
void compare_sql_counts(const struct compare_scope *scope, const struct view_table *table,
                        struct buffer *sql);
/* KIND, key text, column, live value, wanted value, for the first $1 rows: differing rows column by
 * column, the others with their versions. */
void compare_sql_report(const struct compare_scope *scope, const struct view_table *table,
                        struct buffer *sql);
/* KIND, its count, key text, for the first $1 rows of each kind. */
void compare_sql_rows(const struct compare_scope *scope, const struct view_table *table,
                      struct buffer *sql);
/* Column, its count of rows, key text, live value, shadow's value, for the first $1 rows of each
 * column. Long values are cut. */
void compare_sql_columns(const struct compare_scope *scope, const struct view_table *table,
                         struct buffer *sql);
/* Each text in the rows to change, before or after: the surrogate keys for caches. */
void compare_sql_ids(const struct compare_scope *scope, const struct view_table *table,
                     struct buffer *sql);
/* Deletes the extra rows. */
void compare_sql_delete(const struct compare_scope *scope, const struct view_table *table,
                        struct buffer *sql);
/* Writes the missing and differing rows as wanted. */
void compare_sql_upsert(const struct compare_scope *scope, const struct view_table *table,
                        struct buffer *sql);

#endif
