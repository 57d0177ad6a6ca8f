/* rejected: the statements on rejected events. Each begins with the parameters of choice.h; the
 * second one is the reason. An id is "TOPIC/PARTITION/OFFSET". */
#pragma once

#define REJECTED_SELECTED                                                                          \
    "($1::text IS NULL OR topic = $1::text) AND ($2::text IS NULL OR reason = $2::text) AND "      \
    "($3::text[] IS NULL OR topic || '/' || partition || '/' || \"offset\" = ANY ($3::text[]))"

/* The newest first: id, rejected_at (UTC), reason, event_id, detail (its first line), handler,
 * at_us. $4 number of rows; $5 and $6 at_us and id of the row that they follow, or NULL; $7 a text
 * that one of the columns, the correlation id or the traceparent contains, or NULL. */
extern const char rejected_list_sql[];
/* topic, reason, count. */
extern const char rejected_count_sql[];
/* The 100 largest of these groups, and `total`, the sum of all. */
extern const char rejected_groups_sql[];
/* Ids of $3 that do not exist. */
extern const char rejected_missing_sql[];
extern const char rejected_drop_sql[];
/* All columns; the value as text. */
extern const char rejected_show_sql[];
/* The same without the value, with its `bytes` and its beginning in base64, `value_base64`. */
extern const char rejected_read_sql[];
