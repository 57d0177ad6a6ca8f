-- name: insert
-- A conflicting row is the same event, or one of a deleted log.
INSERT INTO aggregator_state.rejected_events (
    topic, partition, "offset", reason, detail, raw, event_id, correlation_id, handler, traceparent,
    generation)
SELECT topic, partition, "offset", reason, detail, raw, event_id::text, correlation_id, handler,
  traceparent, $1::text
FROM unnest(
    $2::text[], $3::int4[], $4::int8[], $5::text[], $6::text[], $7::bytea[], $8::uuid[], $9::text[],
    $10::text[], $11::text[])
    AS r (topic, partition, "offset", reason, detail, raw, event_id, correlation_id, handler,
      traceparent)
ON CONFLICT (topic, partition, "offset") DO UPDATE SET
  rejected_at = now(), reason = EXCLUDED.reason, detail = EXCLUDED.detail, raw = EXCLUDED.raw,
  event_id = EXCLUDED.event_id, correlation_id = EXCLUDED.correlation_id,
  handler = EXCLUDED.handler, traceparent = EXCLUDED.traceparent, generation = EXCLUDED.generation

-- name: trim
-- Sums the bytes only if the table with its indexes exceeds the limit. Rows of one transaction stay
-- or go together, and the newest stay. SKIP LOCKED: two workers must not wait for each other.
DELETE FROM aggregator_state.rejected_events
WHERE ctid = ANY (ARRAY(
  SELECT ctid
  FROM aggregator_state.rejected_events
  WHERE rejected_at < greatest(
    now() - $1::int8 * interval '1 hour',
    (SELECT rejected_at
     FROM aggregator_state.rejected_events
     ORDER BY rejected_at DESC OFFSET $2::int8 LIMIT 1),
    (SELECT max(rejected_at)
     FROM (
       SELECT rejected_at,
         sum(200 + coalesce(pg_column_size(raw), 0) + coalesce(pg_column_size(detail), 0))
           OVER (ORDER BY rejected_at DESC) AS bytes
       FROM aggregator_state.rejected_events
       WHERE (SELECT pg_total_relation_size('aggregator_state.rejected_events')) > $3::int8) AS kept
     WHERE bytes > $3::int8))
  FOR UPDATE SKIP LOCKED))
