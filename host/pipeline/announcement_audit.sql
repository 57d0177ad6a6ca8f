-- name: counts
-- A cache_position, as database_offsets.sql reads it, and the four columns of its epoch.
SELECT (o.consumer_group || '/' || o.topic || '/' || o.partition),
  (o.applied + o.superseded + o.ignored + o.duplicate + o.rejected + o.expired)::text,
  (SELECT system_identifier::text FROM pg_control_system()),
  (SELECT oid::text FROM pg_database WHERE datname = current_database()),
  'aggregator_state.consumer_offsets'::regclass::oid::text,
  (SELECT CASE WHEN pg_is_in_recovery() THEN ''
     ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END),
  pg_is_in_recovery()
FROM (SELECT) AS once
LEFT JOIN aggregator_state.consumer_offsets o ON o.next_offset >= 0
ORDER BY (o.consumer_group || '/' || o.topic || '/' || o.partition) COLLATE "C"
