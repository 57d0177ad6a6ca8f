/* view_sql: the SQL of the declared view: one upsert per table and batch, and the check that the
 * database's tables are what the declaration says. */
#ifndef AGG_HOST_VIEW_SQL_H
#define AGG_HOST_VIEW_SQL_H

#include "buffer.h"
#include "merge.h"

struct pg;
struct pg_params;

/* Bit g set: group g is in some row. */
uint32_t view_sql_groups(const struct view_table *table, struct merge_row *const *rows,
                         size_t count);

/* INSERT … SELECT FROM unnest($1…) ON CONFLICT DO UPDATE of the groups in the mask: a group's
 * columns are replaced only where its version wins, a row is written only where some group does. */
void view_sql_upsert(const struct view_table *table, uint32_t groups, struct buffer *sql);

/* The arrays for that statement, one element a row. */
void view_sql_params(const struct view_table *table, uint32_t groups, struct merge_row *const *rows,
                     size_t count, struct pg_params *params);

/* False with ERR_INPUT naming table, column and both types where the schema differs, or the key
 * that no unique index is on. */
bool view_sql_check(struct pg *pg, const struct view *view, int timeout_ms, struct err *err);

#endif
