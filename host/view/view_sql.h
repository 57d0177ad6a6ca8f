/* view_sql: the SQL of the declared view: one upsert per table and batch. */
#ifndef AGG_HOST_VIEW_VIEW_SQL_H
#define AGG_HOST_VIEW_VIEW_SQL_H

#include "base/buffer.h"
#include "merge.h"

struct pg;
struct pg_params;

/* True for the rules first and latest: the group has the columns "<group>_at", "<group>_event_id".
 */
bool view_sql_is_versioned(const struct view_group *group);

/* One column of a table: group -1 is the key; of a group, column -1 is its version's time, -2 its
 * version's event id. */
typedef void (*view_sql_visit)(void *context, const struct view_table *table, int group,
                               int column);
/* Every column of the key and of the groups in the mask, in one order for all statements. */
void view_sql_columns(const struct view_table *table, uint32_t groups, view_sql_visit visit,
                      void *context);
/* The column's name in double quotes. */
void view_sql_append_name(struct buffer *out, const struct view_table *table, int group,
                          int column);

/* Bit g set: group g is in some row. */
uint32_t view_sql_groups(const struct view_table *table, struct merge_row *const *rows,
                         size_t count);

/* INSERT … SELECT FROM unnest($1…) ON CONFLICT DO UPDATE of the groups in the mask: a group's
 * columns are replaced only where its version wins, a row is written only where some group does. */
void view_sql_upsert(const struct view_table *table, uint32_t groups, struct buffer *sql);

/* The arrays for that statement, one element a row. */
void view_sql_params(const struct view_table *table, uint32_t groups, struct merge_row *const *rows,
                     size_t count, struct pg_params *params);

#endif
