-- ../access.sql where the database has Citus: batches by batch_id, essays by essay_id. A function in SQL
-- that reads such a table is inlined after Citus has planned, and reads the empty table of its node. So
-- functions in PL/pgSQL alone read tables, by statements that Citus sends whole to the shards. Nothing
-- is made of rows there: the columns of a shard's row have no names. The functions in SQL derive the same
-- as those of ../access.sql from these rows.

-- Of a database that had no Citus before: they read the tables in SQL.
DROP FUNCTION IF EXISTS batch_names(text[]), batch_candidates(text[]);
-- Of the text before.
DROP FUNCTION IF EXISTS lists_with(bigint[]), essays_of(text[], text[]);

-- Before the tables are distributed: Citus keeps the rows of two tables together, and reads both by one
-- statement, only if their columns of distribution have the same collation.
DO $$
DECLARE
  relation regclass;
BEGIN
  FOREACH relation IN ARRAY '{batch_results,phase_outcomes,assessments}'::regclass[] LOOP
    IF NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = relation) THEN
      EXECUTE format('ALTER TABLE %s ALTER COLUMN batch_id TYPE text COLLATE "C"', relation);
    END IF;
  END LOOP;
END
$$;

-- ---- rows ---------------------------------------------------------------------------------------

-- Reads the rows of one batch, as texts: the text of a shard's row has no names of columns, and is that of
-- the table's. One statement, which Citus sends whole to the batch's shard. Not one for each table: Citus
-- 13.2 would keep its plan, but add a further copy to it each time that the shard is on the same node.
-- This function only reads, so that no node needs a transaction for it: it would cost a fifth of a
-- response.
CREATE OR REPLACE FUNCTION read_batch(
  wanted text, OUT batches text[], OUT outcomes text[], OUT judgements text[]
) LANGUAGE plpgsql STABLE SET citus.function_opens_transaction_block TO off AS $$
BEGIN
  SELECT array_agg(l.line) FILTER (WHERE l.source = 'batch'),
    array_agg(l.line) FILTER (WHERE l.source = 'outcome'),
    array_agg(l.line) FILTER (WHERE l.source = 'judgement')
  INTO batches, outcomes, judgements
  FROM (
    SELECT 'batch', t::text FROM batch_results t WHERE t.batch_id = wanted
    UNION ALL SELECT 'outcome', t::text FROM phase_outcomes t WHERE t.batch_id = wanted
    UNION ALL SELECT 'judgement', t::text FROM assessments t WHERE t.batch_id = wanted
  ) AS l (source, line);
END
$$;

-- Its functions ask for the rows of a batch in several places, and each statement that goes to a shard takes a
-- third of a millisecond. So the rows are read once for a statement of the client, and kept in settings,
-- which end with the transaction. Each statement begins at a time of its own.
CREATE OR REPLACE FUNCTION keep_batch(wanted text) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
  question constant text := format('%s %s', statement_timestamp(), wanted);
BEGIN
  IF current_setting('result_aggregator.question', true) IS DISTINCT FROM question THEN
    PERFORM set_config('result_aggregator.batch_results', coalesce(r.batches, '{}')::text, true),
      set_config('result_aggregator.phase_outcomes', coalesce(r.outcomes, '{}')::text, true),
      set_config('result_aggregator.assessments', coalesce(r.judgements, '{}')::text, true),
      set_config('result_aggregator.question', question, true)
    FROM read_batch(wanted) r;
  END IF;
END
$$;

-- Rows of their texts, with the type of `item`.
CREATE OR REPLACE FUNCTION rows_in(lines text[], item anyelement) RETURNS SETOF anyelement
LANGUAGE plpgsql STABLE ROWS 10 AS $$
DECLARE
  line text;
BEGIN
  FOREACH line IN ARRAY lines LOOP
    item := line;
    RETURN NEXT item;
  END LOOP;
END
$$;

-- The rows of several batches in that table, whose type `item` has. Only reads, as read_batch.
CREATE OR REPLACE FUNCTION read_rows(wanted text[], relation text, item anyelement) RETURNS SETOF anyelement
LANGUAGE plpgsql STABLE ROWS 10 SET citus.function_opens_transaction_block TO off AS $$
BEGIN
  RETURN QUERY EXECUTE format('SELECT * FROM %I t WHERE t.batch_id = ANY ($1)', relation) USING wanted;
END
$$;

-- The rows of these batches in that table, whose type `item` has. Not by rows_in: each query within a function
-- costs ten microseconds.
CREATE OR REPLACE FUNCTION rows_of(wanted text[], relation text, item anyelement) RETURNS SETOF anyelement
LANGUAGE plpgsql STABLE ROWS 10 AS $$
DECLARE
  line text;
BEGIN
  IF cardinality(wanted) = 1 THEN
    PERFORM keep_batch(wanted[1]);
    FOREACH line IN ARRAY current_setting('result_aggregator.' || relation)::text[] LOOP
      item := line;
      RETURN NEXT item;
    END LOOP;
  ELSE
    RETURN QUERY SELECT * FROM read_rows(wanted, relation, item);
  END IF;
END
$$;

CREATE OR REPLACE FUNCTION batches_of(wanted text[]) RETURNS SETOF batch_results LANGUAGE sql STABLE AS $$
  SELECT * FROM rows_of(wanted, 'batch_results', NULL::batch_results)
$$;

CREATE OR REPLACE FUNCTION outcomes_of(wanted text[]) RETURNS SETOF phase_outcomes LANGUAGE sql STABLE AS $$
  SELECT * FROM rows_of(wanted, 'phase_outcomes', NULL::phase_outcomes)
$$;

CREATE OR REPLACE FUNCTION judgements_of(wanted text[]) RETURNS SETOF assessments LANGUAGE sql STABLE AS $$
  SELECT * FROM rows_of(wanted, 'assessments', NULL::assessments)
$$;

-- The rows of these essays, and of those that are linked to these batches; and of any batch whose lists may
-- contain one of them: as texts. Asks all shards, each once for the four tables. Essays that only their own
-- rows link are asked for again, for the lists that contain them: few batches have such. The error 54000
-- (program_limit_exceeded) for more essays than a request can answer about: the work grows faster than their
-- number.
CREATE OR REPLACE FUNCTION facts_about(wanted text[], ids text[])
RETURNS TABLE (id text, source text, line text)
LANGUAGE plpgsql STABLE ROWS 30 SET citus.function_opens_transaction_block TO off AS $$
DECLARE
  most constant integer := 10000;
  hashes constant bigint[] := id_hashes(ids);
  found_ids text[] := '{}';
  others text[];
BEGIN
  IF cardinality(ids) <= most THEN
    FOR id, source, line IN
      SELECT f.id, f.source, f.line FROM (
        SELECT e.essay_id, 'essay', e::text FROM essay_results e
        WHERE e.essay_id = ANY (ids) OR e.linked_batch_id = ANY (wanted)
        UNION ALL SELECT b.batch_id, 'registration', b::text FROM batch_results b
        WHERE id_hashes(b.essay_ids) && hashes
        UNION ALL SELECT p.batch_id, 'outcome', p::text FROM phase_outcomes p
        WHERE id_hashes(p.processed_ids || p.failed_ids) && hashes
        UNION ALL SELECT a.batch_id, 'judgement', a::text FROM assessments a
        WHERE id_hashes(a.essay_ids) && hashes
      ) AS f (id, source, line)
    LOOP
      RETURN NEXT;
      IF source = 'essay' THEN
        found_ids := found_ids || id;
      END IF;
    END LOOP;
  END IF;
  IF greatest(cardinality(ids), cardinality(found_ids)) > most THEN
    RAISE EXCEPTION 'batch % has more than % essays: too many for one answer', wanted, most
      USING ERRCODE = '54000';
  END IF;
  others := ARRAY(SELECT unnest(found_ids) EXCEPT SELECT unnest(ids));
  IF cardinality(others) > 0 THEN
    RETURN QUERY SELECT f.* FROM facts_about('{}', others) f WHERE f.source <> 'essay';
  END IF;
END
$$;

-- ---- the essays of a batch ----------------------------------------------------------------------

-- Those that a list names together with one of the batches. In PL/pgSQL, which keeps its plan.
CREATE OR REPLACE FUNCTION listed_essays(wanted text[]) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(array_agg(DISTINCT n.id), '{}') FROM (
    SELECT unnest(b.essay_ids) COLLATE "C" AS id FROM batches_of(wanted) b
    UNION ALL SELECT unnest(p.processed_ids || p.failed_ids) FROM outcomes_of(wanted) p
    UNION ALL SELECT unnest(a.essay_ids) FROM judgements_of(wanted) a
  ) n);
END
$$;

CREATE OR REPLACE FUNCTION batch_essays(wanted text) RETURNS TABLE (
  essay_id text, filename text, file_upload_id text,
  spellcheck_status text, spellcheck_correction_count integer,
  spellcheck_corrected_text_storage_id text, spellcheck_error_detail json,
  cj_assessment_status text, cj_rank integer, cj_score double precision,
  started_at timestamptz, updated_at timestamptz
) LANGUAGE sql STABLE AS $$
  WITH facts AS MATERIALIZED (
    SELECT f.source, array_agg(f.line) AS lines
    FROM facts_about(ARRAY[wanted], listed_essays(ARRAY[wanted])) f GROUP BY f.source
  ),
  own AS MATERIALIZED (
    SELECT e.* FROM facts f CROSS JOIN LATERAL rows_in(f.lines, NULL::essay_results) e
    WHERE f.source = 'essay'
  ),
  -- see ../access.sql
  said AS (
    SELECT 'registration' AS source, u.essay_id, b.batch_id,
      b.registration_at AS at, b.registration_event_id AS event_id,
      NULL AS phase, NULL::timestamptz AS restated_at, NULL::uuid AS restated_event_id,
      NULL AS status, NULL::integer AS rank, NULL::double precision AS score
    FROM facts f CROSS JOIN LATERAL rows_in(f.lines, NULL::batch_results) b
      CROSS JOIN LATERAL unnest(b.essay_ids) AS u (essay_id)
    WHERE f.source = 'registration'
    UNION ALL
    SELECT 'outcome', u.essay_id, p.batch_id, p.outcome_at, p.outcome_event_id,
      p.phase_name, p.outcome_at, p.outcome_event_id, u.status, NULL, NULL
    FROM facts f CROSS JOIN LATERAL rows_in(f.lines, NULL::phase_outcomes) p CROSS JOIN LATERAL (
      SELECT unnest(p.processed_ids), 'COMPLETED' UNION ALL SELECT unnest(p.failed_ids), 'FAILED'
    ) AS u (essay_id, status)
    WHERE f.source = 'outcome'
    UNION ALL
    SELECT 'judgement', u.essay_id, a.batch_id, a.judgement_at, a.judgement_event_id,
      'cj_assessment', a.restated_at, a.restated_event_id,
      u.status, u.rank, u.score
    FROM facts f CROSS JOIN LATERAL rows_in(f.lines, NULL::assessments) a CROSS JOIN LATERAL
      unnest(a.essay_ids, a.ranks, a.scores, a.statuses) AS u (essay_id, rank, score, status)
    WHERE f.source = 'judgement'
    UNION ALL
    SELECT 'result', o.essay_id, o.result_batch_id, o.result_link_at, o.result_link_event_id,
      'spellcheck', o.spellcheck_at, o.spellcheck_event_id, o.spellcheck_status::text, NULL, NULL
    FROM own o
  ),
  -- Versions and statuses as numbers: the least and the greatest version include their status.
  -- Within a version the greater status wins: an outcome that lists an essay twice failed it.
  ordered AS (
    SELECT s.*, rank() OVER (ORDER BY s.at, s.event_id, s.batch_id COLLATE "default") AS place,
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

-- facts_about judges it here.
CREATE OR REPLACE FUNCTION is_answerable(wanted text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT true
$$;
