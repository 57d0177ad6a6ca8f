-- name: last_commits
-- The partitions that were moved last by one of the transactions that moved these last: a
-- cache_position each, as announcement_audit.sql reads it, what the transaction added to it, and in
-- one row of a transaction its tags. $2: the announced counts. Of a partition that lacks more than
-- its last transaction none is read: so are most while Redis refuses writes.
SELECT (o.consumer_group || '/' || o.topic || '/' || o.partition),
  (o.applied + o.superseded + o.ignored + o.duplicate + o.rejected + o.expired)::text,
  o.commit_events::text, o.commit_id::text, encode(o.commit_tags, 'hex'), e.*
FROM aggregator_state.epoch() AS e, aggregator_state.consumer_offsets o
WHERE o.commit_id IN (
    SELECT w.commit_id
    FROM aggregator_state.consumer_offsets w
    JOIN unnest($1::text[], $2::int8[]) AS l (name, announced)
      ON l.name = w.consumer_group || '/' || w.topic || '/' || w.partition
    WHERE l.announced = w.applied + w.superseded + w.ignored + w.duplicate + w.rejected + w.expired
      - w.commit_events)
ORDER BY (o.consumer_group || '/' || o.topic || '/' || o.partition) COLLATE "C"
