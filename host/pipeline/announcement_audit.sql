-- name: counts
-- Each cache_position, and the four columns of its epoch: of a partition as database_offsets.sql reads it; of a
-- table's retention how many rows have left.
SELECT c.name, c.counted, e.*, pg_is_in_recovery()
FROM aggregator_state.epoch() AS e
LEFT JOIN (
  SELECT o.consumer_group || '/' || o.topic || '/' || o.partition,
    (o.applied + o.superseded + o.ignored + o.duplicate + o.rejected + o.expired)::text
  FROM aggregator_state.consumer_offsets o
  WHERE o.next_offset >= 0
  UNION ALL
  SELECT 'retention/' || r.root, r.removed::text
  FROM aggregator_state.retention r) AS c (name, counted) ON true
ORDER BY c.name COLLATE "C"
