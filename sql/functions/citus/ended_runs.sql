-- ../ended_runs.sql where the database has Citus: there each batch would be read by a statement of its own over
-- the nodes, here the rows of all are read by one for each table.
CREATE OR REPLACE FUNCTION ended_runs(keys text[]) RETURNS TABLE (
  key text, user_id text, essay_count integer, run text, completed bigint, phases json, status text,
  duration_s double precision, judging_s double precision, judged integer, unjudged integer, at bigint
) LANGUAGE sql STABLE AS $$
  WITH states AS MATERIALIZED (
    SELECT s.* FROM (SELECT keys OFFSET 0) AS k (wanted) CROSS JOIN LATERAL batch_states(k.wanted) s
    WHERE s.end_status IN ('COMPLETED', 'PARTIALLY_COMPLETED')
  ),
  judgements AS MATERIALIZED ( -- the latest of each batch
    SELECT DISTINCT ON (a.batch_id) a.batch_id, a.processing_duration_s,
      cardinality(array_positions(a.statuses, 'COMPLETED')) AS judged,
      cardinality(array_positions(a.statuses, 'FAILED')) AS unjudged
    FROM (SELECT keys OFFSET 0) AS k (wanted) CROSS JOIN LATERAL judgements_of(k.wanted) a
    ORDER BY a.batch_id, a.restated_at DESC, a.restated_event_id DESC
  )
  SELECT b.batch_id, b.user_id, b.essay_count, s.run, s.completed, s.phases,
    client_status(s.end_status),
    run_duration_s(b.completion_duration_s, s.ended_at - s.first_outcome_at),
    j.processing_duration_s, coalesce(j.judged, 0), coalesce(j.unjudged, 0),
    (extract(epoch FROM greatest(s.ended_at, b.registration_at)) * 1000000)::bigint
  FROM (SELECT keys OFFSET 0) AS k (wanted) CROSS JOIN LATERAL batches_of(k.wanted) b
  JOIN states s USING (batch_id) LEFT JOIN judgements j USING (batch_id)
  WHERE b.registration_at IS NOT NULL
    AND (b.completion_correlation_id IS NOT NULL OR (b.first_release AND b.completion_at IS NULL))
$$;
