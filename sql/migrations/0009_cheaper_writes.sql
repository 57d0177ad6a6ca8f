-- Half of what it cost Postgres to write an essay's row and to name an essay in a list. Rewrites
-- essay_results and makes four indexes anew: some seconds a million essays, in which nobody reads.

-- An essay is found by the batch of its first result, or of its slot until then. By one column that
-- seldom changes, with room for it in the page, an update needs no new index entries: most are
-- heap-only ones.
DROP INDEX essay_results_by_slot;
DROP INDEX essay_results_by_result;
ALTER TABLE essay_results SET (fillfactor = 50);
ALTER TABLE essay_results
  -- ids have no language: compared by their bytes
  ALTER COLUMN essay_id TYPE text COLLATE "C",
  ADD COLUMN linked_batch_id text COLLATE "C"
    GENERATED ALWAYS AS (coalesce(result_batch_id, slot_batch_id)) STORED;
CREATE INDEX essay_results_by_link ON essay_results (linked_batch_id);

-- Eight bytes an id, whatever it looks like: an index over these takes half the time. NULL for none.
CREATE FUNCTION id_hashes(ids text[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT array_agg(hashtextextended(id COLLATE "C", 0)) FROM unnest(ids) AS id
$$;
DROP INDEX batch_results_by_essay;
DROP INDEX phase_outcomes_by_essay;
DROP INDEX assessments_by_essay;
CREATE INDEX batch_results_by_essay ON batch_results
  USING gin (id_hashes(essay_ids)) WITH (fastupdate = off);
CREATE INDEX phase_outcomes_by_essay ON phase_outcomes
  USING gin (id_hashes(processed_ids || failed_ids)) WITH (fastupdate = off);
CREATE INDEX assessments_by_essay ON assessments
  USING gin (id_hashes(essay_ids)) WITH (fastupdate = off);

CREATE OR REPLACE FUNCTION batch_essays(wanted text) RETURNS TABLE (
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
    UNION SELECT e.essay_id FROM essay_results e WHERE e.linked_batch_id = wanted
  ),
  names AS (
    SELECT coalesce(array_agg(c.essay_id), '{}') AS ids, id_hashes(array_agg(c.essay_id)) AS hashes
    FROM candidates c
  ),
  -- what outcomes and judgements, of any batch, say of these essays; and, where hashes are equal by
  -- chance, of others, which are left out in the end as their neighbours in a list are
  stated AS (
    SELECT s.essay_id, s.failed, p.*
    FROM phase_outcomes p CROSS JOIN LATERAL (
      SELECT DISTINCT ON (u.essay_id) u.essay_id, u.failed FROM (
        SELECT unnest(p.processed_ids) AS essay_id, false AS failed
        UNION ALL SELECT unnest(p.failed_ids), true) u
      ORDER BY u.essay_id, u.failed DESC) s
    WHERE id_hashes(p.processed_ids || p.failed_ids) && (SELECT hashes FROM names)
  ),
  judged AS (
    SELECT j.essay_id, j.rank, j.score, j.status, a.batch_id, a.judgement_at,
      a.judgement_event_id, a.restated_at, a.restated_event_id
    FROM assessments a CROSS JOIN LATERAL
      unnest(a.essay_ids, a.ranks, a.scores, a.statuses) AS j (essay_id, rank, score, status)
    WHERE id_hashes(a.essay_ids) && (SELECT hashes FROM names)
  ),
  registered AS (
    SELECT DISTINCT ON (u.essay_id) u.essay_id, b.batch_id
    FROM batch_results b CROSS JOIN LATERAL unnest(b.essay_ids) AS u (essay_id)
    WHERE id_hashes(b.essay_ids) && (SELECT hashes FROM names)
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
  merged AS ( -- a row an essay
    SELECT u.essay_id, max(u.registered_in) AS registered_in, max(u.linked_to) AS linked_to,
      max(u.spellcheck_status) AS spellcheck_status, max(u.cj_status) AS cj_status,
      max(u.rank) AS rank, max(u.score) AS score, max(u.said_at) AS said_at,
      min(u.started_at) AS started_at
    FROM (
      SELECT c.essay_id, true AS named, NULL::text AS registered_in, NULL::text AS linked_to,
        NULL::text AS spellcheck_status, NULL::text AS cj_status, NULL::integer AS rank,
        NULL::double precision AS score, NULL::timestamptz AS said_at,
        NULL::timestamptz AS started_at
      FROM candidates c
      UNION ALL SELECT g.essay_id, false, g.batch_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL
      FROM registered g
      UNION ALL SELECT l.essay_id, false, NULL, l.batch_id, NULL, NULL, NULL, NULL, NULL, NULL
      FROM linked l
      UNION ALL SELECT x.essay_id, false, NULL, NULL, x.status, NULL, NULL, NULL, NULL, NULL
      FROM spellchecked x
      UNION ALL SELECT x.essay_id, false, NULL, NULL, NULL, x.status, NULL, NULL, NULL, NULL
      FROM assessed x
      UNION ALL SELECT r.essay_id, false, NULL, NULL, NULL, NULL, r.rank, r.score, NULL, NULL
      FROM ranked r
      UNION ALL SELECT s.essay_id, false, NULL, NULL, NULL, NULL, NULL, NULL, s.restated_at, NULL
      FROM stated s
      UNION ALL SELECT j.essay_id, false, NULL, NULL, NULL, NULL, NULL, NULL, j.restated_at,
        j.judgement_at
      FROM judged j
    ) u GROUP BY u.essay_id HAVING bool_or(u.named)
  )
  SELECT m.essay_id, e.filename, e.file_upload_id, lower(m.spellcheck_status),
    e.spellcheck_correction_count, e.spellcheck_corrected_text_storage_id,
    e.spellcheck_error_detail, lower(m.cj_status), m.rank, m.score,
    least(e.first_result_at, m.started_at),
    greatest(e.slot_at, e.slot_link_at, e.spellcheck_at, e.result_link_at, m.said_at)
  FROM merged m LEFT JOIN essay_results e USING (essay_id)
  WHERE coalesce(m.registered_in, m.linked_to, e.slot_batch_id) = wanted
    AND (e.essay_id IS NOT NULL OR m.said_at IS NOT NULL)
$$;
