/* compare_sql: the SQL that compares a table of the live view with its shadow and mends it.
 *
 * Of each key it forms the row that should be. That is the shadow's, but a group of the live row
 * stays where it wins over the shadow's by the declared rule, and its event either is older than
 * what the log has lost (by retention or compaction) or stands in the shadow's outside_events: what
 * that event wrote cannot be derived again. Where there are such events smaller minima and larger
 * maxima stay, for they name no event. A table of differences has the row's columns as they should
 * be, and (their names in capitals, which no declared column has): KIND     missing | extra |
 * differing: of the live row COLUMNS  text[], the columns that differ LIVE     the live row as
 * jsonb */
#ifndef AGG_HOST_REBUILD_COMPARE_SQL_H
#define AGG_HOST_REBUILD_COMPARE_SQL_H

#include "base/buffer.h"
#include "view/view.h"

struct compare_scope {
    const char *live;   /* the live schema, quoted */
    const char *shadow; /* the shadow's */
    /* What is older may come from records that the log has lost; 0: it is whole; INT64_MAX:
     * anything may. */
    int64_t lost_before_us;
    bool outside;      /* some events rest on answers of outside systems */
    bool own_versions; /* a version differs by itself only, not with any column of its group */
};

/* Makes the table "<result>_<table>" of the shadow's schema: the differences of all rows. */
void compare_sql_all(const struct compare_scope *scope, const struct view_table *table,
                     const char *result, struct buffer *sql);
/* Makes "differences_<table>" of the keys in "candidates_<table>" and of rows written since
 * transaction `since_xid` (decimal), as they are now. */
void compare_sql_differences(const struct compare_scope *scope, const struct view_table *table,
                             const char *since_xid, struct buffer *sql);
/* Rows that keep something that the log no longer has: how many in all, and key text, in order of
 * the key; parameter $1: at most so many rows. */
void compare_sql_kept(const struct compare_scope *scope, const struct view_table *table,
                      struct buffer *sql);
/* Rows that keep what events of outside_events wrote: how many in all, key text, and the groups
 * with the place and handler of each, and what that rests on; parameter $1: at most so many rows.
 */
void compare_sql_outside(const struct compare_scope *scope, const struct view_table *table,
                         struct buffer *sql);
/* KIND and count, of "differences_<table>" as all that follow. */
void compare_sql_counts(const struct compare_scope *scope, const struct view_table *table,
                        struct buffer *sql);
/* KIND, key text, column, live value, value from the log: of the first $1 rows, those that differ
 * column by column, the others with their versions. */
void compare_sql_report(const struct compare_scope *scope, const struct view_table *table,
                        struct buffer *sql);
/* KIND, how many there are, key text: of the first $1 rows of each kind. */
void compare_sql_rows(const struct compare_scope *scope, const struct view_table *table,
                      struct buffer *sql);
/* Column, in how many of the differing rows it does, key text, live value, the shadow's: of the
 * first $1 rows of each column. Long values are cut. */
void compare_sql_columns(const struct compare_scope *scope, const struct view_table *table,
                         struct buffer *sql);
/* Every text that stands in the rows to be changed, before or after: what caches may hang on. */
void compare_sql_ids(const struct compare_scope *scope, const struct view_table *table,
                     struct buffer *sql);
/* The extra rows leave. */
void compare_sql_delete(const struct compare_scope *scope, const struct view_table *table,
                        struct buffer *sql);
/* The missing and differing ones become what they should be. */
void compare_sql_upsert(const struct compare_scope *scope, const struct view_table *table,
                        struct buffer *sql);

#endif
