-- Everything derived, in one place: what an answer says of a batch, from the rows of the view.

CREATE FUNCTION wire_time(at timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
$$;

-- The essays of a batch that any event but the registration has named, with their statuses.
CREATE FUNCTION batch_essays(wanted text) RETURNS TABLE (
  essay_id text, filename text, file_upload_id text,
  spellcheck_status text, spellcheck_correction_count integer,
  spellcheck_corrected_text_storage_id text, spellcheck_error_detail json,
  cj_assessment_status text, cj_rank integer, cj_score double precision,
  started_at timestamptz, updated_at timestamptz
) LANGUAGE sql STABLE AS $$
  WITH candidates AS (
    SELECT unnest(essay_ids) AS essay_id FROM batch_results WHERE batch_id = wanted
    UNION SELECT unnest(processed_ids || failed_ids) FROM phase_outcomes WHERE batch_id = wanted
    UNION SELECT unnest(essay_ids) FROM assessments WHERE batch_id = wanted
    UNION SELECT e.essay_id FROM essay_results e WHERE e.slot_batch_id = wanted
    UNION SELECT e.essay_id FROM essay_results e WHERE e.result_batch_id = wanted
  ),
  names AS (SELECT coalesce(array_agg(c.essay_id), '{}') AS ids FROM candidates c),
  -- what outcomes and judgements, of any batch, say of these essays
  stated AS (
    SELECT s.essay_id, s.failed, p.*
    FROM phase_outcomes p CROSS JOIN LATERAL (
      SELECT DISTINCT ON (u.essay_id) u.essay_id, u.failed FROM (
        SELECT unnest(p.processed_ids) AS essay_id, false AS failed
        UNION ALL SELECT unnest(p.failed_ids), true) u
      ORDER BY u.essay_id, u.failed DESC) s
    WHERE (p.processed_ids || p.failed_ids) && (SELECT ids FROM names)
  ),
  judged AS (
    SELECT j.essay_id, j.rank, j.score, j.status, a.batch_id, a.judgement_at,
      a.judgement_event_id, a.restated_at, a.restated_event_id
    FROM assessments a CROSS JOIN LATERAL
      unnest(a.essay_ids, a.ranks, a.scores, a.statuses) AS j (essay_id, rank, score, status)
    WHERE a.essay_ids && (SELECT ids FROM names)
  ),
  registered AS (
    SELECT DISTINCT ON (u.essay_id) u.essay_id, b.batch_id
    FROM batch_results b CROSS JOIN LATERAL unnest(b.essay_ids) AS u (essay_id)
    WHERE b.essay_ids && (SELECT ids FROM names)
    ORDER BY u.essay_id, b.registration_at, b.registration_event_id
  ),
  linked AS (
    SELECT DISTINCT ON (l.essay_id) l.essay_id, l.batch_id FROM (
      SELECT e.essay_id, e.result_batch_id AS batch_id, e.result_link_at AS at,
        e.result_link_event_id AS event_id
      FROM essay_results e
      WHERE e.essay_id = ANY ((SELECT ids FROM names)::text[]) AND e.result_batch_id IS NOT NULL
      UNION ALL SELECT s.essay_id, s.batch_id, s.outcome_at, s.outcome_event_id FROM stated s
      UNION ALL SELECT j.essay_id, j.batch_id, j.judgement_at, j.judgement_event_id FROM judged j
    ) l ORDER BY l.essay_id, l.at, l.event_id
  ),
  -- the latest statement wins, be it an own result or an outcome's list
  spellchecked AS (
    SELECT DISTINCT ON (x.essay_id) x.essay_id, x.status FROM (
      SELECT e.essay_id, e.spellcheck_status::text AS status, e.spellcheck_at AS at,
        e.spellcheck_event_id AS event_id
      FROM essay_results e
      WHERE e.essay_id = ANY ((SELECT ids FROM names)::text[]) AND e.spellcheck_at IS NOT NULL
      UNION ALL SELECT s.essay_id, CASE WHEN s.failed THEN 'FAILED' ELSE 'COMPLETED' END,
        s.restated_at, s.restated_event_id
      FROM stated s WHERE s.phase_name = 'spellcheck'
    ) x ORDER BY x.essay_id, x.at DESC, x.event_id DESC
  ),
  assessed AS (
    SELECT DISTINCT ON (x.essay_id) x.essay_id, x.status FROM (
      SELECT j.essay_id, j.status, j.restated_at AS at, j.restated_event_id AS event_id
      FROM judged j
      UNION ALL SELECT s.essay_id, CASE WHEN s.failed THEN 'FAILED' ELSE 'COMPLETED' END,
        s.restated_at, s.restated_event_id
      FROM stated s WHERE s.phase_name = 'cj_assessment'
    ) x ORDER BY x.essay_id, x.at DESC, x.event_id DESC
  ),
  ranked AS (
    SELECT DISTINCT ON (j.essay_id) j.essay_id, j.rank, j.score FROM judged j
    ORDER BY j.essay_id, j.restated_at DESC, j.restated_event_id DESC
  ),
  said AS (
    SELECT u.essay_id, max(u.at) AS latest, min(u.started) AS started FROM (
      SELECT s.essay_id, s.restated_at AS at, NULL::timestamptz AS started FROM stated s
      UNION ALL SELECT j.essay_id, j.restated_at, j.judgement_at FROM judged j
    ) u GROUP BY u.essay_id
  )
  SELECT c.essay_id, e.filename, e.file_upload_id, lower(sp.status),
    e.spellcheck_correction_count, e.spellcheck_corrected_text_storage_id,
    e.spellcheck_error_detail, lower(ass.status), r.rank, r.score,
    least(e.first_result_at, said.started),
    greatest(e.slot_at, e.slot_link_at, e.spellcheck_at, e.result_link_at, said.latest)
  FROM candidates c
  LEFT JOIN essay_results e USING (essay_id)
  LEFT JOIN said USING (essay_id)
  LEFT JOIN registered g USING (essay_id)
  LEFT JOIN linked l USING (essay_id)
  LEFT JOIN spellchecked sp USING (essay_id)
  LEFT JOIN assessed ass USING (essay_id)
  LEFT JOIN ranked r USING (essay_id)
  WHERE coalesce(g.batch_id, l.batch_id, e.slot_batch_id) = wanted
    AND (e.essay_id IS NOT NULL OR said.essay_id IS NOT NULL)
$$;

CREATE FUNCTION client_status(status batch_result_status) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE status
    WHEN 'REGISTERED' THEN 'pending_content'
    WHEN 'PROCESSING' THEN 'processing'
    WHEN 'PARTIALLY_COMPLETED' THEN 'completed_with_failures'
    WHEN 'COMPLETED' THEN 'completed_successfully'
    WHEN 'FAILED' THEN 'failed'
    WHEN 'CANCELLED' THEN 'cancelled'
  END
$$;

-- One row if the batch is registered: the answer's JSON, what it depends on, and its status.
CREATE FUNCTION batch_answer(wanted text)
RETURNS TABLE (body text, tags text[], result_status batch_result_status)
LANGUAGE sql STABLE AS $$
  WITH batch AS (
    SELECT * FROM batch_results WHERE batch_id = wanted AND registration_at IS NOT NULL
  ),
  essays AS MATERIALIZED (SELECT e.* FROM batch_essays(wanted) e),
  phases AS MATERIALIZED ( -- the latest outcome of each phase name
    SELECT DISTINCT ON (phase_name) * FROM phase_outcomes WHERE batch_id = wanted
    ORDER BY phase_name, restated_at DESC, restated_event_id DESC
  ),
  failed AS (SELECT DISTINCT unnest(failed_ids) AS essay_id FROM phases),
  completed AS ( -- processed in all phases reported, failed in none
    SELECT u.essay_id FROM phases p CROSS JOIN LATERAL
      (SELECT DISTINCT unnest(p.processed_ids) AS essay_id) u
    GROUP BY u.essay_id
    HAVING count(*) = (SELECT count(*) FROM phases)
      AND u.essay_id NOT IN (SELECT f.essay_id FROM failed f)
  ),
  counts AS (
    SELECT p.phases,
      CASE WHEN p.phases > 0 THEN (SELECT count(*) FROM completed)
        ELSE coalesce(b.completion_successful_count, 0) END AS completed,
      CASE WHEN p.phases > 0 THEN (SELECT count(*) FROM failed)
        ELSE coalesce(b.completion_failed_count, 0) END AS failed,
      (SELECT count(*) FROM essays) AS shown,
      (SELECT min(started_at) FROM essays) AS result_at
    FROM batch b, (SELECT count(*) AS phases FROM phases) p
  ),
  facts AS (
    SELECT b.*, c.*,
      b.completion_status IS NOT DISTINCT FROM 'CANCELLED'
        OR EXISTS (SELECT FROM phases p WHERE p.result_status = 'CANCELLED') AS is_cancelled,
      b.completion_status IS NOT DISTINCT FROM 'FAILED'
        OR EXISTS (SELECT FROM phases p WHERE p.result_status = 'FAILED') AS is_failed,
      b.completion_at IS NOT NULL
        OR (b.first_release AND c.phases > 0 AND c.completed + c.failed >= b.essay_count)
        AS is_finished
    FROM batch b, counts c
  ),
  judged AS (
    SELECT f.*, CASE
      WHEN is_cancelled THEN 'CANCELLED'
      WHEN is_failed THEN 'FAILED'
      WHEN is_finished AND completed = 0 AND failed > 0 THEN 'FAILED'
      WHEN is_finished AND (failed > 0 OR completion_status = 'PARTIALLY_COMPLETED')
        THEN 'PARTIALLY_COMPLETED'
      WHEN is_finished THEN 'COMPLETED'
      WHEN phases > 0 OR result_at IS NOT NULL THEN 'PROCESSING'
      ELSE 'REGISTERED'
    END::batch_result_status AS status
    FROM facts f
  )
  SELECT row_to_json(answer)::text,
    (SELECT array_agg(DISTINCT t.id) FROM (
      SELECT wanted AS id
      UNION SELECT unnest(j.essay_ids)
      UNION SELECT e.essay_id FROM essays e) t),
    j.status
  FROM judged j CROSS JOIN LATERAL (
    SELECT j.batch_id, j.user_id, j.assignment_id, client_status(j.status) AS overall_status,
      j.essay_count, j.completed AS completed_essay_count, j.failed AS failed_essay_count,
      NULL::text AS requested_pipeline,
      CASE
        WHEN j.status <> 'PROCESSING' THEN NULL
        WHEN j.shown < j.essay_count
          OR EXISTS (SELECT FROM essays e WHERE e.spellcheck_status IS NULL) THEN 'spellcheck'
        WHEN EXISTS (SELECT FROM essays e WHERE e.spellcheck_status <> 'failed'
          AND e.cj_assessment_status IS NULL) THEN 'cj_assessment'
      END AS current_phase,
      coalesce((SELECT array_to_json(array_agg(row_to_json(x))) FROM (
        SELECT e.essay_id, e.filename, e.file_upload_id, e.spellcheck_status,
          e.spellcheck_correction_count, e.spellcheck_corrected_text_storage_id,
          e.spellcheck_error_detail, e.cj_assessment_status, e.cj_rank, e.cj_score,
          NULL::json AS cj_assessment_error_detail, wire_time(e.updated_at) AS last_updated
        FROM essays e ORDER BY e.cj_rank NULLS LAST, e.filename COLLATE "C", e.essay_id COLLATE "C"
      ) x), '[]') AS essays,
      wire_time(j.registration_at) AS created_at,
      wire_time(greatest(j.registration_at, j.assignment_at, j.completion_at,
        (SELECT max(o.restated_at) FROM phase_outcomes o WHERE o.batch_id = wanted),
        (SELECT max(a.restated_at) FROM assessments a WHERE a.batch_id = wanted),
        (SELECT max(e.updated_at) FROM essays e))) AS last_updated,
      wire_time(least(j.result_at,
        (SELECT min(o.outcome_at) FROM phase_outcomes o WHERE o.batch_id = wanted)
      )) AS processing_started_at,
      CASE WHEN j.is_finished OR j.is_failed OR j.is_cancelled THEN
        wire_time(coalesce(j.completion_at, (SELECT max(p.restated_at) FROM phases p)))
      END AS processing_completed_at,
      j.student_prompt_ref,
      j.status AS result_status,
      coalesce((SELECT array_to_json(array_agg(row_to_json(x))) FROM (
        SELECT p.phase_name, p.phase_status, cardinality(p.processed_ids) AS completed,
          cardinality(p.failed_ids) AS failed, wire_time(p.restated_at) AS at
        FROM phases p
        ORDER BY coalesce(array_position(
          ARRAY['spellcheck', 'nlp', 'ai_feedback', 'cj_assessment'], p.phase_name), 9),
          p.phase_name COLLATE "C"
      ) x), '[]') AS phases
  ) answer
$$;
