-- name: last_commits
-- The partitions that were moved last by one of the transactions that moved these last: a
-- cache_position each, as announcement_audit.sql reads it, what the transaction added to it, and in
-- one row of a transaction its tags.
SELECT (o.consumer_group || '/' || o.topic || '/' || o.partition),
  (o.applied + o.superseded + o.ignored + o.duplicate + o.rejected + o.expired)::text,
  o.commit_events::text, o.commit_id::text, encode(o.commit_tags, 'hex'), e.*
FROM aggregator_state.epoch() AS e, aggregator_state.consumer_offsets o
WHERE o.commit_id IN (
    SELECT w.commit_id
    FROM aggregator_state.consumer_offsets w
    WHERE (w.consumer_group || '/' || w.topic || '/' || w.partition) = ANY ($1::text[]))
ORDER BY (o.consumer_group || '/' || o.topic || '/' || o.partition) COLLATE "C"
