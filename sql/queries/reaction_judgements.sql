-- The judgements of registered batches. Rows of the first release have no grades, which consumers of
-- the event need. For the keys see reaction_results.sql.
SELECT b.batch_id AS key, b.user_id, a.job_id, a.correlation_id, a.essay_ids, a.ranks, a.scores,
  a.letter_grades, a.confidence_scores, a.confidence_labels,
  (extract(epoch FROM greatest(a.judgement_at, b.registration_at)) * 1000000)::bigint AS at
FROM assessments a JOIN batch_results b USING (batch_id)
WHERE b.batch_id = ANY ((SELECT :keys::text[])::text[]) AND b.registration_at IS NOT NULL
  AND a.letter_grades IS NOT NULL
ORDER BY a.judgement_at, a.judgement_event_id
