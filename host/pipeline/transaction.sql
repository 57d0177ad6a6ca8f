-- name: begin_writes
SELECT aggregator_state.begin_writes()

-- name: retried
DELETE FROM aggregator_state.rejected_events r
USING unnest($1::text[], $2::int4[], $3::int8[]) AS a (topic, partition, "offset")
WHERE r.topic = a.topic AND r.partition = a.partition AND r."offset" = a."offset"
