-- Batches whose run has ended with results. Essays are counted only where a phase sent no outcome. A
-- completion without its run came before runs were kept.
SELECT b.batch_id AS key, b.user_id, b.essay_count, s.run, s.completed, s.phases,
  client_status(s.end_status) AS status,
  coalesce(nullif(greatest(b.completion_duration_s, 0), 0), nullif(greatest(
    extract(epoch FROM s.ended_at - s.first_outcome_at), 0), 0), 0.000001)::double precision
    AS duration_s,
  j.processing_duration_s AS judging_s, e.checked, e.unchecked, e.judged, e.unjudged,
  (extract(epoch FROM greatest(s.ended_at, b.registration_at)) * 1000000)::bigint AS at
FROM batch_results b
CROSS JOIN LATERAL batch_state(b.batch_id) s
LEFT JOIN LATERAL (
  SELECT a.processing_duration_s FROM assessments a WHERE a.batch_id = b.batch_id
  ORDER BY a.restated_at DESC, a.restated_event_id DESC LIMIT 1
) j ON true
LEFT JOIN LATERAL (
  SELECT count(*) FILTER (WHERE e.spellcheck_status = 'completed') AS checked,
    count(*) FILTER (WHERE e.spellcheck_status = 'failed') AS unchecked,
    count(*) FILTER (WHERE e.cj_assessment_status = 'completed') AS judged,
    count(*) FILTER (WHERE e.cj_assessment_status = 'failed') AS unjudged
  FROM batch_essays(b.batch_id) e
  WHERE NOT coalesce(s.phase_names @> '{spellcheck,cj_assessment}', false)
) e ON true
WHERE b.batch_id = ANY (:keys::text[]) AND b.registration_at IS NOT NULL
  AND (b.completion_correlation_id IS NOT NULL OR (b.first_release AND b.completion_at IS NULL))
  AND s.end_status IN ('COMPLETED', 'PARTIALLY_COMPLETED')
