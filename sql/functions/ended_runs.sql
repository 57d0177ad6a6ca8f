-- What the reaction results_ready reads (sql/queries/reaction_results.sql). A subquery has the keys, so
-- that one plan serves any number of them: planning takes longer than running. citus/ended_runs.sql takes the
-- place of this file where the database has Citus.
CREATE OR REPLACE FUNCTION ended_runs(keys text[]) RETURNS TABLE (
  key text, user_id text, essay_count integer, run text, completed bigint, phases json, status text,
  duration_s double precision, judging_s double precision, judged integer, unjudged integer, at bigint
) LANGUAGE sql STABLE AS $$
  SELECT b.batch_id, b.user_id, b.essay_count, s.run, s.completed, s.phases,
    client_status(s.end_status),
    run_duration_s(b.completion_duration_s, s.ended_at - s.first_outcome_at),
    j.processing_duration_s, coalesce(j.judged, 0), coalesce(j.unjudged, 0),
    (extract(epoch FROM greatest(s.ended_at, b.registration_at)) * 1000000)::bigint
  FROM (SELECT keys OFFSET 0) AS k (wanted) CROSS JOIN LATERAL batches_of(k.wanted) b
  CROSS JOIN LATERAL batch_states(ARRAY[b.batch_id]) s
  LEFT JOIN LATERAL (
    SELECT a.processing_duration_s, cardinality(array_positions(a.statuses, 'COMPLETED')) AS judged,
      cardinality(array_positions(a.statuses, 'FAILED')) AS unjudged
    FROM judgements_of(ARRAY[b.batch_id]) a
    ORDER BY a.restated_at DESC, a.restated_event_id DESC LIMIT 1
  ) j ON true
  WHERE b.registration_at IS NOT NULL
    AND (b.completion_correlation_id IS NOT NULL OR (b.first_release AND b.completion_at IS NULL))
    AND s.end_status IN ('COMPLETED', 'PARTIALLY_COMPLETED')
$$;
