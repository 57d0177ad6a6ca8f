-- Functions that responses and reactions share: they derive the state of a batch from the rows that
-- access.sql reads. The program applies the whole file when its text changed. A function whose columns
-- change must be dropped by a migration first.

CREATE OR REPLACE FUNCTION wire_time(at timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
$$;

CREATE OR REPLACE FUNCTION client_status(status batch_result_status) RETURNS text
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

-- How long a run took, never 0: the reported duration, or else that of its outcomes.
CREATE OR REPLACE FUNCTION run_duration_s(reported_s double precision, outcomes interval)
RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(nullif(greatest(reported_s, 0), 0),
    nullif(greatest(extract(epoch FROM outcomes), 0), 0)::double precision, 0.000001)
$$;

-- A row for each of the batches that is registered: its status by phases and completion. Essays affect
-- only a batch that has not ended.
CREATE OR REPLACE FUNCTION batch_states(wanted text[]) RETURNS TABLE (
  batch_id text,
  reported bigint, completed bigint, failed bigint, phases json, phase_names text[],
  first_outcome_at timestamptz, last_outcome_at timestamptz,
  end_status batch_result_status, -- NULL: it has not ended
  ended_at timestamptz,
  run text -- the correlation id of the run that ended it
) LANGUAGE sql STABLE AS $$
  WITH batches AS (
    SELECT * FROM batches_of(wanted) WHERE registration_at IS NOT NULL
  ),
  outcomes AS MATERIALIZED ( -- the latest of each phase
    SELECT l.*, count(*) OVER (PARTITION BY batch_id) AS reported
    FROM (
      SELECT DISTINCT ON (batch_id, phase_name) * FROM outcomes_of(wanted)
      ORDER BY batch_id, phase_name, outcome_at DESC, outcome_event_id DESC
    ) l
  ),
  phases AS ( -- one row a batch with outcomes
    SELECT o.batch_id, count(*) AS reported,
      bool_or(o.result_status = 'CANCELLED') AS has_cancelled,
      bool_or(o.result_status = 'FAILED') AS has_failed,
      -- by a run later than the one that the newest completion ends
      bool_or(o.correlation_id <> o.completion_correlation_id
        AND (o.outcome_at, o.outcome_event_id) > (o.completion_at, o.completion_event_id))
        AS is_open_again,
      min(o.outcome_at) AS first_outcome_at, max(o.outcome_at) AS last_outcome_at,
      (array_agg(o.correlation_id ORDER BY o.outcome_at DESC, o.outcome_event_id DESC))[1]
        AS last_run,
      array_agg(o.phase_name) AS phase_names, array_to_json(array_agg(row_to_json(o.item))) AS phases
    FROM (
      SELECT o.*, b.completion_at, b.completion_event_id, b.completion_correlation_id, item
      FROM batches b JOIN outcomes o USING (batch_id) CROSS JOIN LATERAL (
        SELECT o.phase_name, o.phase_status, cardinality(o.processed_ids) AS completed,
          cardinality(o.failed_ids) AS failed, wire_time(o.outcome_at) AS at
      ) item
      ORDER BY o.batch_id, coalesce(array_position(
        ARRAY['spellcheck', 'nlp', 'ai_feedback', 'cj_assessment'], o.phase_name), 9),
        o.phase_name COLLATE "C"
    ) o GROUP BY o.batch_id
  ),
  through AS ( -- the same: essays failed in a phase, and those processed in all reported phases
    SELECT t.batch_id, count(*) FILTER (WHERE t.has_failed) AS failed_essays,
      count(*) FILTER (WHERE NOT t.has_failed AND t.phases = t.reported) AS completed_essays
    FROM (
      SELECT s.batch_id, s.essay_id, bool_or(s.has_failed) AS has_failed, count(*) AS phases,
        max(s.reported) AS reported
      FROM (
        SELECT batch_id, unnest(processed_ids) AS essay_id, phase_name, false AS has_failed, reported
        FROM outcomes
        UNION SELECT batch_id, unnest(failed_ids), phase_name, true, reported FROM outcomes
      ) s GROUP BY s.batch_id, s.essay_id
    ) t
    GROUP BY t.batch_id
  ),
  facts AS (
    SELECT b.*, coalesce(p.reported, 0) AS reported, p.phases, p.phase_names, p.last_run,
      p.first_outcome_at, p.last_outcome_at, p.has_cancelled, p.has_failed,
      CASE WHEN p.reported > 0 THEN coalesce(t.completed_essays, 0)
        ELSE coalesce(b.completion_successful_count, 0) END AS completed,
      CASE WHEN p.reported > 0 THEN coalesce(t.failed_essays, 0)
        ELSE coalesce(b.completion_failed_count, 0) END AS failed,
      p.is_open_again IS NOT TRUE AND (b.completion_at IS NOT NULL OR (b.first_release
        AND p.reported > 0
        AND coalesce(t.completed_essays + t.failed_essays, 0) >= b.essay_count)) AS is_finished
    FROM batches b LEFT JOIN phases p USING (batch_id) LEFT JOIN through t USING (batch_id)
  ),
  judged AS (
    SELECT f.*, CASE
      WHEN completion_status = 'CANCELLED' OR has_cancelled THEN 'CANCELLED'
      WHEN completion_status = 'FAILED' OR has_failed THEN 'FAILED'
      WHEN is_finished AND completed = 0 AND failed > 0 THEN 'FAILED'
      WHEN is_finished AND (failed > 0 OR completion_status = 'PARTIALLY_COMPLETED')
        THEN 'PARTIALLY_COMPLETED'
      WHEN is_finished THEN 'COMPLETED'
    END::batch_result_status AS end_status
    FROM facts f
  )
  SELECT j.batch_id, j.reported, j.completed, j.failed, coalesce(j.phases, '[]'), j.phase_names,
    j.first_outcome_at, j.last_outcome_at, j.end_status,
    CASE WHEN j.end_status IS NOT NULL THEN coalesce(j.completion_at, j.last_outcome_at) END,
    CASE WHEN j.completion_at IS NOT NULL THEN j.completion_correlation_id ELSE j.last_run END
  FROM judged j
$$;

-- The same for one batch: queries of processes of the release before call it while both releases run.
CREATE OR REPLACE FUNCTION batch_state(wanted text) RETURNS TABLE (
  reported bigint, completed bigint, failed bigint, phases json, phase_names text[],
  first_outcome_at timestamptz, last_outcome_at timestamptz, end_status batch_result_status,
  ended_at timestamptz, run text
) LANGUAGE sql STABLE AS $$
  SELECT s.reported, s.completed, s.failed, s.phases, s.phase_names, s.first_outcome_at,
    s.last_outcome_at, s.end_status, s.ended_at, s.run
  FROM batch_states(ARRAY[wanted]) s
$$;

-- Numbers of shown essays that a phase processed and failed. Not in SQL, which would be planned with
-- each statement although few call it. NULL for NULL.
CREATE OR REPLACE FUNCTION essay_counts(wanted text) RETURNS TABLE (
  checked bigint, unchecked bigint, judged bigint, unjudged bigint
) LANGUAGE plpgsql STABLE STRICT AS $$
BEGIN
  RETURN QUERY SELECT count(*) FILTER (WHERE e.spellcheck_status = 'completed'),
    count(*) FILTER (WHERE e.spellcheck_status = 'failed'),
    count(*) FILTER (WHERE e.cj_assessment_status = 'completed'),
    count(*) FILTER (WHERE e.cj_assessment_status = 'failed')
  FROM batch_essays(wanted) e;
END
$$;

-- One row if the batch is registered: the response's JSON, its surrogate keys, and its status.
CREATE OR REPLACE FUNCTION batch_answer(wanted text)
RETURNS TABLE (body text, tags text[], result_status batch_result_status)
LANGUAGE sql STABLE AS $$
  WITH batch AS (
    SELECT * FROM batches_of(ARRAY[wanted]) WHERE registration_at IS NOT NULL
  ),
  essays AS ( -- one row: all facts needed
    SELECT count(*) AS shown, array_agg(e.essay_id) AS shown_ids,
      min(e.started_at) AS result_at, max(e.updated_at) AS essays_at,
      bool_or(e.spellcheck_status IS NULL) AS is_unchecked,
      bool_or(e.spellcheck_status <> 'failed' AND e.cj_assessment_status IS NULL) AS is_unjudged,
      coalesce(array_to_json(array_agg(row_to_json(e.item))), '[]') AS essays
    FROM (
      SELECT e.*, item FROM batch_essays(wanted) e CROSS JOIN LATERAL (
        SELECT e.essay_id, e.filename, e.file_upload_id, e.spellcheck_status,
          e.spellcheck_correction_count, e.spellcheck_corrected_text_storage_id,
          e.spellcheck_error_detail, e.cj_assessment_status, e.cj_rank, e.cj_score,
          NULL::json AS cj_assessment_error_detail, wire_time(e.updated_at) AS last_updated
      ) item
      ORDER BY e.cj_rank NULLS LAST, e.filename COLLATE "C", e.essay_id COLLATE "C"
    ) e
  ),
  assessed AS (
    SELECT max(restated_at) AS assessments_at FROM judgements_of(ARRAY[wanted])
  ),
  judged AS (
    SELECT b.*, s.reported, s.completed, s.failed, s.phases, s.first_outcome_at, s.last_outcome_at,
      s.ended_at, e.*, a.*, coalesce(s.end_status,
      CASE WHEN s.reported > 0 OR e.result_at IS NOT NULL THEN 'PROCESSING'
        ELSE 'REGISTERED' END::batch_result_status) AS status
    FROM batch b, batch_states(ARRAY[wanted]) s, essays e, assessed a
  )
  SELECT row_to_json(answer)::text,
    (SELECT array_agg(DISTINCT t.id COLLATE "C")
      FROM unnest(wanted || j.essay_ids || j.shown_ids) AS t (id)),
    j.status
  FROM judged j CROSS JOIN LATERAL (
    SELECT j.batch_id, j.user_id, j.assignment_id, client_status(j.status) AS overall_status,
      j.essay_count, j.completed AS completed_essay_count, j.failed AS failed_essay_count,
      NULL::text AS requested_pipeline,
      CASE
        WHEN j.status <> 'PROCESSING' THEN NULL
        WHEN j.shown < j.essay_count OR j.is_unchecked THEN 'spellcheck'
        WHEN j.is_unjudged THEN 'cj_assessment'
      END AS current_phase,
      j.essays,
      wire_time(j.registration_at) AS created_at,
      wire_time(greatest(j.registration_at, j.assignment_at, j.completion_at,
        j.last_outcome_at, j.assessments_at, j.essays_at)) AS last_updated,
      wire_time(least(j.result_at, j.first_outcome_at)) AS processing_started_at,
      wire_time(j.ended_at) AS processing_completed_at,
      j.student_prompt_ref,
      j.status AS result_status,
      j.phases
  ) answer
$$;

-- What stands behind the batches of a list's page. lists.sql and citus/lists.sql call it.
CREATE OR REPLACE FUNCTION list_end(
  page_limit bigint, page_offset bigint, total bigint, next_cursor text
) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT '],"pagination":{"limit":' || page_limit || ',"offset":' || page_offset || ',"total":' || total
    || ',"next_cursor":' || coalesce(to_json(next_cursor)::text, 'null') || '}}'
$$;
