#include "rejected.h"

#define ID "topic || '/' || partition || '/' || \"offset\""

const char rejected_list_sql[] =
    "SELECT " ID
    " AS id, to_char(rejected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS rejected_at, "
    "left(reason, 500) AS reason, left(event_id, 500) AS event_id, "
    "left(split_part(coalesce(detail, ''), E'\\n', 1), 500) AS detail, left(handler, 500) AS "
    "handler, "
    "(extract(epoch FROM rejected_at) * 1e6)::int8 AS at_us "
    "FROM aggregator_state.rejected_events WHERE " REJECTED_SELECTED
    " AND ($5::int8 IS NULL OR (rejected_at, topic, partition, \"offset\") < "
    "(timestamptz 'epoch' + $5::int8 * interval '1 us', split_part($6::text, '/', 1), "
    "split_part($6::text, '/', 2)::int4, split_part($6::text, '/', 3)::int8)) "
    "AND ($7::text IS NULL OR position($7::text IN concat_ws(' ', " ID
    ", reason, event_id, correlation_id, traceparent, handler, detail)) > 0) "
    "ORDER BY rejected_events.rejected_at DESC, topic DESC, partition DESC, \"offset\" DESC "
    "LIMIT $4::int8";

const char rejected_count_sql[] =
    "SELECT topic, reason, count(*)::text FROM aggregator_state.rejected_events "
    "WHERE " REJECTED_SELECTED " GROUP BY topic, reason ORDER BY topic, reason";

const char rejected_groups_sql[] =
    "SELECT topic, reason, count(*) AS count, (sum(count(*)) OVER ())::int8 AS total "
    "FROM aggregator_state.rejected_events WHERE " REJECTED_SELECTED
    " GROUP BY topic, reason ORDER BY count(*) DESC, topic, reason LIMIT 100";

const char rejected_missing_sql[] =
    "SELECT id FROM unnest($3::text[]) AS id WHERE $1::text IS NULL AND $2::text IS NULL AND "
    "NOT EXISTS (SELECT FROM aggregator_state.rejected_events WHERE " ID " = id) LIMIT 1";

const char rejected_drop_sql[] =
    "DELETE FROM aggregator_state.rejected_events WHERE " REJECTED_SELECTED;

#define FACTS                                                                                      \
    "topic, partition, \"offset\", rejected_at, reason, detail, event_id, correlation_id, "        \
    "handler, generation AS scripts, traceparent"

const char rejected_show_sql[] =
    "SELECT " FACTS
    ", CASE WHEN raw IS NULL THEN 'no value' ELSE encode(raw, 'escape') END AS value "
    "FROM aggregator_state.rejected_events WHERE " REJECTED_SELECTED;

const char rejected_read_sql[] =
    "SELECT " FACTS ", octet_length(raw) AS bytes, encode(substr(raw, 1, 262144), 'base64') AS "
    "value_base64 FROM aggregator_state.rejected_events WHERE " REJECTED_SELECTED;
