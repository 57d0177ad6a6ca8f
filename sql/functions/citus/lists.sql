-- ../lists.sql where the database has Citus, whose distributed tables have no triggers: no list is kept.
-- A page derives the answers of its batches, and a filter the status of each of the user's batches: the
-- states of all at once, and the essays of those that have none.

-- What a database has that was plain before: the triggers, and the functions that keep lists.
DO $$
DECLARE
  named record;
BEGIN
  FOR named IN SELECT tgname, tgrelid::regclass AS owner FROM pg_trigger
    WHERE tgname LIKE 'lists\_%' AND NOT tgisinternal AND tgrelid IN ('batch_results'::regclass,
      'essay_results'::regclass, 'phase_outcomes'::regclass, 'assessments'::regclass)
  LOOP
    EXECUTE format('DROP TRIGGER %I ON %s', named.tgname, named.owner);
  END LOOP;
  FOR named IN SELECT oid::regprocedure AS function FROM pg_proc
    WHERE pronamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'batch_results'::regclass)
      AND proname = ANY ('{list_lock,list_epoch,list_marks_abound,drop_list_marks,mark_lists,mark_essays,
        mark_essays_gone,mark_batches,mark_essays_left_out,mark_batches_gone,mark_outcomes_gone,
        outdate_lists,add_counts,kept_counts,outdate_batches,outdate_answers,take_list_marks,keep_answers,
        keep_batches,keep_statuses_by_essays,keep_statuses,keep_user,derived_page,list_page,kept_page}'::name[])
  LOOP
    EXECUTE format('DROP FUNCTION %s', named.function);
  END LOOP;
END
$$;

-- The registered batches of a user. Asks all shards.
CREATE OR REPLACE FUNCTION user_batches(wanted_user text)
RETURNS TABLE (batch_id text, registered_at timestamptz) LANGUAGE plpgsql STABLE
SET citus.function_opens_transaction_block TO off AS $$
BEGIN
  RETURN QUERY SELECT b.batch_id, b.registration_at FROM batch_results b
  WHERE b.user_id = wanted_user AND b.registration_at IS NOT NULL;
END
$$;

-- The essays whose own rows name one of these batches. Asks all shards.
CREATE OR REPLACE FUNCTION linked_essays(wanted text[]) RETURNS TABLE (essay_id text)
LANGUAGE plpgsql STABLE SET citus.function_opens_transaction_block TO off AS $$
BEGIN
  RETURN QUERY SELECT e.essay_id FROM essay_results e WHERE e.linked_batch_id = ANY (wanted);
END
$$;

-- As batch_answer has it.
CREATE OR REPLACE FUNCTION batch_statuses(wanted text[])
RETURNS TABLE (batch_id text, status batch_result_status) LANGUAGE sql STABLE AS $$
  SELECT s.batch_id, coalesce(s.end_status, CASE
    WHEN s.reported > 0 THEN 'PROCESSING'
    WHEN EXISTS (SELECT FROM batch_essays(s.batch_id) e WHERE e.started_at IS NOT NULL) THEN 'PROCESSING'
    ELSE 'REGISTERED' END::batch_result_status)
  FROM batch_states(wanted) s
$$;

-- The page, and the ids of its batches in their order.
CREATE OR REPLACE FUNCTION derived_list(
  wanted_user text, statuses text[], after_at timestamptz, after_batch text,
  page_limit bigint, page_offset bigint, OUT body text, OUT shown text[]
) LANGUAGE plpgsql STABLE AS $$
BEGIN
  WITH registered AS MATERIALIZED (SELECT u.* FROM user_batches(wanted_user) u),
  mine AS MATERIALIZED (
    SELECT r.* FROM registered r
    WHERE statuses IS NULL OR r.batch_id IN (
      SELECT s.batch_id FROM batch_statuses(ARRAY(SELECT m.batch_id FROM registered m)) s
      WHERE s.status::text = ANY (statuses))
  ),
  page AS MATERIALIZED (
    SELECT m.*, a.body
    FROM (
      SELECT * FROM mine
      WHERE after_at IS NULL OR registered_at < after_at
        OR (registered_at = after_at AND batch_id > after_batch)
      ORDER BY registered_at DESC, batch_id
      LIMIT page_limit OFFSET page_offset
    ) m CROSS JOIN LATERAL batch_answer(m.batch_id) a
  )
  SELECT '{"batches":['
      || coalesce(string_agg(p.body, ',' ORDER BY p.registered_at DESC, p.batch_id), '')
      || list_end(page_limit, page_offset, (SELECT count(*) FROM mine),
        CASE WHEN count(*) = page_limit THEN
          (SELECT wire_time(l.registered_at) || '|' || l.batch_id FROM page l
            ORDER BY l.registered_at, l.batch_id DESC LIMIT 1) END),
    array_agg(p.batch_id ORDER BY p.registered_at DESC, p.batch_id)
  INTO body, shown
  FROM page p;
END
$$;

CREATE OR REPLACE FUNCTION list_batches(
  wanted_user text, statuses text[], after_at timestamptz, after_batch text,
  page_limit bigint, page_offset bigint
) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT d.body
  FROM derived_list(wanted_user, statuses, after_at, after_batch, page_limit, page_offset) d
$$;

-- A page with its tags, as ../list_tags.sql has them. NULL with a filter: all batches of the user decide.
-- The tags are read after the page: what is committed in between touches one of those of either moment.
CREATE OR REPLACE FUNCTION tagged_list(
  wanted_user text, statuses text[], after_at timestamptz, after_batch text,
  page_limit bigint, page_offset bigint, OUT body text, OUT tags text[]
) LANGUAGE plpgsql STABLE AS $$
DECLARE
  shown text[];
BEGIN
  SELECT d.body, d.shown INTO body, shown
  FROM derived_list(wanted_user, statuses, after_at, after_batch, page_limit, page_offset) d;
  IF statuses IS NULL AND NOT current_setting('transaction_read_only')::boolean THEN
    tags := (SELECT array_agg(DISTINCT t.id COLLATE "C") FROM (
      SELECT unnest(wanted_user || shown || listed_essays(shown))
      UNION ALL SELECT l.essay_id FROM linked_essays(shown) l
    ) AS t (id));
  END IF;
END
$$;
