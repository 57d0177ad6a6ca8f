-- name: counts
-- A cache_position, as database_offsets.sql reads it, and the four columns of its epoch.
SELECT (o.consumer_group || '/' || o.topic || '/' || o.partition),
  (o.applied + o.superseded + o.ignored + o.duplicate + o.rejected + o.expired)::text,
  e.*, pg_is_in_recovery()
FROM aggregator_state.epoch() AS e
LEFT JOIN aggregator_state.consumer_offsets o ON o.next_offset >= 0
ORDER BY (o.consumer_group || '/' || o.topic || '/' || o.partition) COLLATE "C"
