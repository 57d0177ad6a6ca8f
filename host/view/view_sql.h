/* view_sql: the SQL of the view: one upsert per table and batch. */
#pragma once

#include "base/buffer.h"
#include "merge.h"

struct pg;
struct pg_params;

/* Rules first and latest: the group has the columns "<group>_at" and "<group>_event_id". */
bool view_sql_is_versioned(const struct view_group *group);

/* One column of a table. Group -1: the key. Columns -1 and -2 of a group: the time and the event id
 * of its version. */
typedef void (*view_sql_visit)(void *context, const struct view_table *table, int group,
                               int column);
/* Column 0 or above. */
const struct view_column *view_sql_column_at(const struct view_table *table, int group, int column);
/* Visits the columns of the key and of the groups in the mask, always in the same order. */
void view_sql_columns(const struct view_table *table, uint32_t groups, view_sql_visit visit,
                      void *context);
#define VIEW_SQL_NAME_CAP 128
/* The database's name of the column. */
void view_sql_name(char name[VIEW_SQL_NAME_CAP], const struct view_table *table, int group,
                   int column);
/* The same in double quotes. */
void view_sql_append_name(struct buffer *out, const struct view_table *table, int group,
                          int column);

/* The column that the database stores, which differs for the rule count. */
const char *view_sql_stored_name(const struct view_column *column);

/* The type of a column that Postgres computes of a group's sources; takes their name. */
#define VIEW_SQL_COMPUTED "integer GENERATED ALWAYS AS (coalesce(cardinality(\"%s\"), 0)) STORED"

/* Whether a column of the database, by its type and the expression that Postgres computes it of
 * ("": none), is what the rule count needs: the number of items in `column->stored`. */
bool view_sql_is_computed(const struct view_column *column, const char *type,
                          const char *expression);

/* The column's type as Postgres' format_type spells it. */
const char *view_sql_type_of(const struct view_table *table, int group, int column);

/* Bit g set: group g is in some row. */
uint32_t view_sql_groups(const struct view_table *table, struct merge_row *const *rows,
                         size_t count);

/* INSERT … SELECT unnest($1), … ON CONFLICT DO UPDATE for the groups in the mask. It replaces a
 * group's columns only if its version wins, adds to sets, and writes a row only if a group changes.
 * The arrays are unnested in the select list, which reads them in step: FROM unnest($1, …) would
 * first copy each of them into a tuplestore, a tenth of the statement's time. */
void view_sql_upsert(const struct view_table *table, uint32_t groups, struct buffer *sql);

/* The union of two arrays of a set, of which either may be null, as merge_set_finish orders it. */
void view_sql_append_union(struct buffer *sql, const struct view_group *group, const char *one,
                           const char *other);

/* The arrays of that statement, one element per row. */
void view_sql_params(const struct view_table *table, uint32_t groups, struct merge_row *const *rows,
                     size_t count, struct pg_params *params);
