-- name: rejected
SELECT topic, partition, "offset",
  json_build_object(
    'event_id', event_id, 'reason', reason, 'detail', detail, 'topic', topic, 'partition',
    partition, 'offset', "offset", 'rejected_at', rejected_at::text, 'handler', handler, 'scripts',
    generation)
FROM aggregator_state.rejected_events
WHERE event_id = $1::text OR position(convert_to($1::text, 'UTF8') in raw) > 0
ORDER BY rejected_at LIMIT 1000

-- name: scripts
SELECT (
    SELECT s.scripts
    FROM aggregator_state.offset_scripts s
    WHERE s.consumer_group = $1::text AND s.topic = w.topic AND s.partition = w.partition
      AND s.from_offset <= w.at
    ORDER BY s.changed_at DESC LIMIT 1), o.next_offset > w.at
FROM unnest($2::text[], $3::int4[], $4::int8[]) WITH ORDINALITY AS w (topic, partition, at, n)
LEFT JOIN aggregator_state.consumer_offsets o ON o.consumer_group = $1::text AND o.topic = w.topic
  AND o.partition = w.partition
ORDER BY w.n
