-- Batches whose run ended with results. The reaction follows all tables read here: the row of a key
-- changes only with a mark. So the query counts no essays; while the judging has no outcome, the latest
-- judgement has the number of judged essays. Completions of older releases have no run. A subquery has
-- the keys, so that one plan serves any number of them: planning takes longer than running.
SELECT b.batch_id AS key, b.user_id, b.essay_count, s.run, s.completed, s.phases,
  client_status(s.end_status) AS status,
  coalesce(nullif(greatest(b.completion_duration_s, 0), 0), nullif(greatest(
    extract(epoch FROM s.ended_at - s.first_outcome_at), 0), 0), 0.000001)::double precision
    AS duration_s,
  j.processing_duration_s AS judging_s, coalesce(j.judged, 0) AS judged,
  coalesce(j.unjudged, 0) AS unjudged,
  (extract(epoch FROM greatest(s.ended_at, b.registration_at)) * 1000000)::bigint AS at
FROM batch_results b
CROSS JOIN LATERAL batch_states(ARRAY[b.batch_id]) s
LEFT JOIN LATERAL (
  SELECT a.processing_duration_s, cardinality(array_positions(a.statuses, 'COMPLETED')) AS judged,
    cardinality(array_positions(a.statuses, 'FAILED')) AS unjudged
  FROM assessments a WHERE a.batch_id = b.batch_id
  ORDER BY a.restated_at DESC, a.restated_event_id DESC LIMIT 1
) j ON true
WHERE b.batch_id = ANY ((SELECT :keys::text[])::text[]) AND b.registration_at IS NOT NULL
  AND (b.completion_correlation_id IS NOT NULL OR (b.first_release AND b.completion_at IS NULL))
  AND s.end_status IN ('COMPLETED', 'PARTIALLY_COMPLETED')
