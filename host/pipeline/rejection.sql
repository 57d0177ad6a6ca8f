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
  rejected_at = EXCLUDED.rejected_at, reason = EXCLUDED.reason, detail = EXCLUDED.detail, raw = EXCLUDED.raw,
  event_id = EXCLUDED.event_id, correlation_id = EXCLUDED.correlation_id,
  handler = EXCLUDED.handler, traceparent = EXCLUDED.traceparent, generation = EXCLUDED.generation

-- name: trim
SELECT aggregator_state.trim_rejected($1::int8, $2::int8, $3::int8)
