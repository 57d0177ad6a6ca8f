-- What functions read of the view: the rows of batches, and the essays of a batch. citus/access.sql
-- takes the place of this file where the database has Citus; all other functions that answer about a
-- batch are the same there. `batch_essays` makes the same of its rows in both files.

CREATE OR REPLACE FUNCTION batches_of(wanted text[]) RETURNS SETOF batch_results LANGUAGE sql STABLE AS $$
  SELECT * FROM batch_results WHERE batch_id = ANY (wanted)
$$;

CREATE OR REPLACE FUNCTION outcomes_of(wanted text[]) RETURNS SETOF phase_outcomes LANGUAGE sql STABLE AS $$
  SELECT * FROM phase_outcomes WHERE batch_id = ANY (wanted)
$$;

CREATE OR REPLACE FUNCTION judgements_of(wanted text[]) RETURNS SETOF assessments LANGUAGE sql STABLE AS $$
  SELECT * FROM assessments WHERE batch_id = ANY (wanted)
$$;

-- The essays that anything names together with each of the batches. Some belong to other batches, and
-- some come more than once.
CREATE OR REPLACE FUNCTION batch_names(wanted text[]) RETURNS TABLE (batch_id text, essay_id text)
LANGUAGE sql STABLE AS $$
  SELECT b.batch_id, unnest(b.essay_ids) COLLATE "C" FROM batch_results b WHERE b.batch_id = ANY (wanted)
  UNION ALL SELECT p.batch_id, unnest(p.processed_ids || p.failed_ids) FROM phase_outcomes p
    WHERE p.batch_id = ANY (wanted)
  UNION ALL SELECT a.batch_id, unnest(a.essay_ids) FROM assessments a WHERE a.batch_id = ANY (wanted)
  UNION ALL SELECT e.linked_batch_id, e.essay_id FROM essay_results e
    WHERE e.linked_batch_id = ANY (wanted)
$$;

CREATE OR REPLACE FUNCTION batch_candidates(wanted text[]) RETURNS TABLE (essay_id text)
LANGUAGE sql STABLE AS $$
  SELECT DISTINCT n.essay_id FROM batch_names(wanted) n
$$;

-- The essays of a batch that an event other than the registration named, with their statuses.
-- Facts of an essay are combined by grouping: the planner assumes short lists, and would join long ones
-- in nested loops. Facts are read once and reduced in one pass: a larger plan costs more to set up than
-- to run.
CREATE OR REPLACE FUNCTION batch_essays(wanted text) RETURNS TABLE (
  essay_id text, filename text, file_upload_id text,
  spellcheck_status text, spellcheck_correction_count integer,
  spellcheck_corrected_text_storage_id text, spellcheck_error_detail json,
  cj_assessment_status text, cj_rank integer, cj_score double precision,
  started_at timestamptz, updated_at timestamptz
) LANGUAGE sql STABLE AS $$
  WITH names AS (
    SELECT array_agg(c.essay_id) AS ids,
      array_agg(hashtextextended(c.essay_id, 0)) AS hashes -- id_hashes(ids), without a call
    FROM batch_candidates(ARRAY[wanted]) c
  ),
  own AS MATERIALIZED (
    SELECT * FROM essay_results WHERE essay_id = ANY ((SELECT ids FROM names)::text[])
  ),
  -- Facts of these essays, of any batch: the version that links them, and the status of a phase. The
  -- lists also contain essays of other batches, and essays with an equal hash: other batches link
  -- those.
  said AS (
    SELECT 'registration' AS source, u.essay_id, b.batch_id,
      b.registration_at AS at, b.registration_event_id AS event_id,
      NULL AS phase, NULL::timestamptz AS restated_at, NULL::uuid AS restated_event_id,
      NULL AS status, NULL::integer AS rank, NULL::double precision AS score
    FROM batch_results b CROSS JOIN LATERAL unnest(b.essay_ids) AS u (essay_id)
    WHERE id_hashes(b.essay_ids) && (SELECT hashes FROM names)
    UNION ALL
    SELECT 'outcome', u.essay_id, p.batch_id, p.outcome_at, p.outcome_event_id,
      p.phase_name, p.outcome_at, p.outcome_event_id, u.status, NULL, NULL
    FROM phase_outcomes p CROSS JOIN LATERAL (
      SELECT unnest(p.processed_ids), 'COMPLETED' UNION ALL SELECT unnest(p.failed_ids), 'FAILED'
    ) AS u (essay_id, status)
    WHERE id_hashes(p.processed_ids || p.failed_ids) && (SELECT hashes FROM names)
    UNION ALL
    SELECT 'judgement', u.essay_id, a.batch_id, a.judgement_at, a.judgement_event_id,
      'cj_assessment', a.restated_at, a.restated_event_id,
      u.status, u.rank, u.score
    FROM assessments a CROSS JOIN LATERAL
      unnest(a.essay_ids, a.ranks, a.scores, a.statuses) AS u (essay_id, rank, score, status)
    WHERE id_hashes(a.essay_ids) && (SELECT hashes FROM names)
    UNION ALL
    SELECT 'result', o.essay_id, o.result_batch_id, o.result_link_at, o.result_link_event_id,
      'spellcheck', o.spellcheck_at, o.spellcheck_event_id, o.spellcheck_status::text, NULL, NULL
    FROM own o
  ),
  -- Versions and statuses as numbers: the least and the greatest version include their status.
  -- Within a version the greater status wins: an outcome that lists an essay twice failed it.
  ordered AS (
    SELECT s.*, rank() OVER (ORDER BY s.at, s.event_id, s.batch_id) AS place,
      rank() OVER (ORDER BY s.restated_at, s.restated_event_id) AS restated_place,
      array_position('{PENDING,IN_PROGRESS,COMPLETED,FAILED,SKIPPED}', s.status) AS status_place
    FROM said s
  ),
  merged AS ( -- one row an essay; only tests whether its batch is the wanted one
    SELECT o.essay_id,
      (min(ARRAY[o.place, (o.batch_id = wanted)::integer])
        FILTER (WHERE o.source = 'registration'))[2] = 1 AS is_registered,
      (min(ARRAY[o.place, (o.batch_id = wanted)::integer])
        FILTER (WHERE o.source <> 'registration' AND o.batch_id IS NOT NULL))[2] = 1 AS is_linked,
      (max(ARRAY[o.restated_place, o.status_place])
        FILTER (WHERE o.phase = 'spellcheck' AND o.restated_at IS NOT NULL))[2] AS spellcheck,
      (max(ARRAY[o.restated_place, o.status_place])
        FILTER (WHERE o.phase = 'cj_assessment'))[2] AS cj_assessment,
      max(ARRAY[o.restated_place, o.rank, o.score]) FILTER (WHERE o.source = 'judgement') AS ranked,
      max(o.restated_at) FILTER (WHERE o.source <> 'result') AS said_at,
      min(o.at) FILTER (WHERE o.source = 'judgement') AS started_at
    FROM ordered o GROUP BY o.essay_id
  )
  SELECT m.essay_id, o.filename, o.file_upload_id,
    ('{pending,in_progress,completed,failed,skipped}'::text[])[m.spellcheck],
    o.spellcheck_correction_count, o.spellcheck_corrected_text_storage_id,
    o.spellcheck_error_detail,
    ('{pending,in_progress,completed,failed,skipped}'::text[])[m.cj_assessment],
    m.ranked[2]::integer, m.ranked[3],
    least(o.first_result_at, m.started_at),
    greatest(o.slot_at, o.slot_link_at, o.spellcheck_at, o.result_link_at, m.said_at)
  FROM merged m LEFT JOIN own o USING (essay_id)
  WHERE coalesce(m.is_registered, m.is_linked, o.slot_batch_id = wanted)
    AND (o.essay_id IS NOT NULL OR m.said_at IS NOT NULL)
$$;

-- True, or the error 54000 (program_limit_exceeded) for a batch whose answer would take longer than a
-- request may: the work grows faster than the number of essays.
CREATE OR REPLACE FUNCTION is_answerable(wanted text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
  most constant integer := 10000;
  essays bigint;
BEGIN
  SELECT greatest(
    (SELECT cardinality(essay_ids) FROM batch_results WHERE batch_id = wanted),
    (SELECT max(cardinality(processed_ids) + cardinality(failed_ids)) FROM phase_outcomes
      WHERE batch_id = wanted),
    (SELECT max(cardinality(essay_ids)) FROM assessments WHERE batch_id = wanted),
    (SELECT count(*) FROM (SELECT FROM essay_results WHERE linked_batch_id = wanted LIMIT most + 1) e))
  INTO essays;
  IF essays > most THEN
    RAISE EXCEPTION 'batch % has more than % essays: too many for one answer', wanted, most
      USING ERRCODE = '54000';
  END IF;
  RETURN true;
END
$$;
