-- What lists of a user's batches read, kept with the view's rows. Triggers note in the transaction of
-- a change which ids it touches (list_marks): they only insert, so that ingestion neither waits for
-- lists nor for another worker. A list takes the marks first and outdates what depends on the ids;
-- then it derives what is outdated or missing, and keeps it. Takers and keepers have one advisory lock:
-- a keeper's snapshot has every change whose mark was taken before, and the mark of every other change
-- is still there.
--
-- Functions that others call have their owner's rights: the service's role may not delete rows.

-- ---- marks --------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION list_lock() RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT 7236015 -- migrate has 7236014
$$;

CREATE OR REPLACE FUNCTION list_epoch() RETURNS integer LANGUAGE sql STABLE AS $$
  SELECT coalesce(max(epoch), 0) FROM list_epochs
$$;

-- Whether there are so many marks that deriving all again is cheaper than to take them.
CREATE OR REPLACE FUNCTION list_marks_abound() RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT count(*) > 50000 OR sum(count) > 500000 FROM list_marks
$$;

-- Outdates everything that is kept, by one row. Only for the holder of the lock.
CREATE OR REPLACE FUNCTION drop_list_marks() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO list_epochs VALUES (list_epoch() + 1);
  DELETE FROM list_epochs WHERE epoch < list_epoch();
  DELETE FROM list_marks;
END
$$;

-- While nobody asks for lists, nobody takes the marks: the writers look after them now and then.
CREATE OR REPLACE FUNCTION mark_lists(changed_batches text[], changed_essays text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  number bigint;
BEGIN
  IF changed_batches IS NULL AND changed_essays IS NULL THEN
    RETURN;
  END IF;
  INSERT INTO list_marks (batches, essays, count)
  VALUES (changed_batches, changed_essays, cardinality(changed_batches || changed_essays))
  RETURNING id INTO number;
  IF number % 512 = 0 AND list_marks_abound() AND pg_try_advisory_xact_lock(list_lock()) THEN
    PERFORM drop_list_marks();
  END IF;
END
$$;

-- The transition table `changed` has the rows that a statement has written, `gone` those that were there
-- before. The essays of a marked batch are read when the mark is taken: what is cheap for a reader is
-- dear for every commit. Essays themselves are marked where no row names them with the batch then.

CREATE OR REPLACE FUNCTION mark_essays() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM mark_lists(
    (SELECT array_agg(b.id) FROM (SELECT linked_batch_id AS id FROM changed GROUP BY 1) b
      WHERE b.id IS NOT NULL),
    (SELECT array_agg(essay_id) FROM changed WHERE linked_batch_id IS NULL));
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION mark_essays_gone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM mark_lists(NULL, array_agg(essay_id)) FROM gone;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION mark_batches() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM mark_lists(array_agg(batch_id), NULL) FROM changed;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION mark_changed_batches() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM mark_lists(array_agg(batch_id), (
    SELECT array_agg(u.id)
    FROM gone g JOIN changed c USING (batch_id) CROSS JOIN LATERAL unnest(g.essay_ids) AS u (id)
    WHERE g.essay_ids IS DISTINCT FROM c.essay_ids)) FROM changed;
  RETURN NULL;
END
$$;

-- Of registrations and judgements.
CREATE OR REPLACE FUNCTION mark_batches_gone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM mark_lists(array_agg(batch_id),
    (SELECT array_agg(u.id) FROM gone, unnest(essay_ids) AS u (id))) FROM gone;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION mark_outcomes_gone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM mark_lists(array_agg(batch_id),
    (SELECT array_agg(u.id) FROM gone, unnest(processed_ids || failed_ids) AS u (id))) FROM gone;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION outdate_lists() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  TRUNCATE batch_lists, batch_answers;
  RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER lists_inserted AFTER INSERT ON essay_results
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION mark_essays();
CREATE OR REPLACE TRIGGER lists_updated AFTER UPDATE ON essay_results
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION mark_essays();
CREATE OR REPLACE TRIGGER lists_deleted AFTER DELETE ON essay_results
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION mark_essays_gone();
CREATE OR REPLACE TRIGGER lists_truncated AFTER TRUNCATE ON essay_results
  FOR EACH STATEMENT EXECUTE FUNCTION outdate_lists();

CREATE OR REPLACE TRIGGER lists_inserted AFTER INSERT ON batch_results
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION mark_batches();
CREATE OR REPLACE TRIGGER lists_updated AFTER UPDATE ON batch_results
  REFERENCING OLD TABLE AS gone NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION mark_changed_batches();
CREATE OR REPLACE TRIGGER lists_deleted AFTER DELETE ON batch_results
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION mark_batches_gone();
CREATE OR REPLACE TRIGGER lists_truncated AFTER TRUNCATE ON batch_results
  FOR EACH STATEMENT EXECUTE FUNCTION outdate_lists();

CREATE OR REPLACE TRIGGER lists_inserted AFTER INSERT ON phase_outcomes
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION mark_batches();
CREATE OR REPLACE TRIGGER lists_updated AFTER UPDATE ON phase_outcomes
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION mark_outcomes_gone();
CREATE OR REPLACE TRIGGER lists_deleted AFTER DELETE ON phase_outcomes
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION mark_outcomes_gone();
CREATE OR REPLACE TRIGGER lists_truncated AFTER TRUNCATE ON phase_outcomes
  FOR EACH STATEMENT EXECUTE FUNCTION outdate_lists();

CREATE OR REPLACE TRIGGER lists_inserted AFTER INSERT ON assessments
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION mark_batches();
CREATE OR REPLACE TRIGGER lists_updated AFTER UPDATE ON assessments
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION mark_batches_gone();
CREATE OR REPLACE TRIGGER lists_deleted AFTER DELETE ON assessments
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION mark_batches_gone();
CREATE OR REPLACE TRIGGER lists_truncated AFTER TRUNCATE ON assessments
  FOR EACH STATEMENT EXECUTE FUNCTION outdate_lists();

-- ---- what is kept -------------------------------------------------------------------------------

-- Outdates what depends on the batches and essays that are marked, and on the essays of these batches.
-- Only for the holder of the lock.
CREATE OR REPLACE FUNCTION take_list_marks() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  marked_batches text[];
  marked_essays text[];
  touched bigint[];
BEGIN
  IF list_marks_abound() THEN
    PERFORM drop_list_marks();
    RETURN;
  END IF;
  WITH taken AS (DELETE FROM list_marks RETURNING batches, essays)
  SELECT (SELECT array_agg(DISTINCT b.id COLLATE "C") FROM taken, unnest(batches) AS b (id)),
    (SELECT array_agg(DISTINCT e.id COLLATE "C") FROM taken, unnest(essays) AS e (id))
  INTO marked_batches, marked_essays;
  IF cardinality(marked_batches || marked_essays) > 3000 THEN
    PERFORM drop_list_marks();
    RETURN;
  END IF;
  -- In portions: GIN's work for each row that it finds grows with the number of hashes.
  FOR touched IN
    SELECT array_agg(n.hash) FROM (
      SELECT hashtextextended(t.id COLLATE "C", 0) AS hash, row_number() OVER () AS number FROM (
        SELECT unnest(marked_batches || marked_essays)
        UNION ALL SELECT essay_id FROM batch_candidates(marked_batches)
      ) AS t (id)
    ) n GROUP BY n.number / 1000
  LOOP
    WITH gone AS (DELETE FROM batch_answers WHERE tags && touched RETURNING batch_id)
    UPDATE batch_lists SET status = NULL WHERE batch_id IN (SELECT g.batch_id FROM gone g);
    UPDATE batch_lists SET status = NULL
    WHERE hashtextextended(batch_id, 0) = ANY (touched) AND status IS NOT NULL;
  END LOOP;
END
$$;

-- Derives answers and keeps them with their statuses. Only for the holder of the lock.
CREATE OR REPLACE FUNCTION keep_answers(wanted text[]) RETURNS void LANGUAGE sql AS $$
  WITH derived AS MATERIALIZED (
    SELECT b.batch_id, b.user_id, b.registration_at, a.body, a.result_status,
      (SELECT array_agg(hashtextextended(t.id, 0))
        FROM (SELECT b.batch_id UNION ALL SELECT essay_id FROM batch_candidates(ARRAY[b.batch_id])) AS t (id))
        AS tags
    FROM batch_results b CROSS JOIN LATERAL batch_answer(b.batch_id) a
    WHERE b.batch_id = ANY (wanted) AND is_answerable(b.batch_id)
  ), kept AS (
    INSERT INTO batch_answers (batch_id, tags, body, epoch)
    SELECT batch_id, tags, body, list_epoch() FROM derived
    ON CONFLICT (batch_id) DO UPDATE
      SET tags = EXCLUDED.tags, body = EXCLUDED.body, epoch = EXCLUDED.epoch
  )
  INSERT INTO batch_lists (batch_id, user_id, registered_at, status, epoch)
  SELECT batch_id, user_id, registration_at, result_status, list_epoch() FROM derived
  ON CONFLICT (batch_id) DO UPDATE SET user_id = EXCLUDED.user_id,
    registered_at = EXCLUDED.registered_at, status = EXCLUDED.status, epoch = EXCLUDED.epoch
$$;

-- Derives the statuses of some of the user's batches that have none, and keeps them. A status that
-- depends on essays is that of the answer. Only for the holder of the lock. The number of batches.
CREATE OR REPLACE FUNCTION keep_statuses(wanted_user text, most integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
  found text[];
  undecided text[];
BEGIN
  SELECT array_agg(f.batch_id) INTO found FROM (
    SELECT b.batch_id FROM batch_results b
    WHERE b.user_id = wanted_user AND b.registration_at IS NOT NULL AND NOT EXISTS (
      SELECT FROM batch_lists l WHERE l.batch_id = b.batch_id AND l.status IS NOT NULL
        AND l.epoch = (SELECT list_epoch()))
    LIMIT most
  ) f;
  WITH states AS MATERIALIZED (
    SELECT b.batch_id, b.user_id, b.registration_at, coalesce(s.end_status,
      CASE WHEN s.reported > 0 THEN 'PROCESSING' END::batch_result_status) AS status
    FROM batch_results b CROSS JOIN LATERAL batch_state(b.batch_id) s
    WHERE b.batch_id = ANY (found)
  ), kept AS (
    INSERT INTO batch_lists (batch_id, user_id, registered_at, status, epoch)
    SELECT batch_id, user_id, registration_at, status, list_epoch() FROM states
    ON CONFLICT (batch_id) DO UPDATE SET user_id = EXCLUDED.user_id,
      registered_at = EXCLUDED.registered_at, status = EXCLUDED.status, epoch = EXCLUDED.epoch
  )
  SELECT array_agg(batch_id) INTO undecided FROM states WHERE status IS NULL;
  IF undecided IS NOT NULL THEN
    PERFORM keep_answers(undecided);
  END IF;
  RETURN coalesce(cardinality(found), 0);
END
$$;

-- ---- a page -------------------------------------------------------------------------------------

-- What stands behind the batches of a page.
CREATE OR REPLACE FUNCTION list_end(
  page_limit bigint, page_offset bigint, total bigint, next_cursor text
) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT '],"pagination":{"limit":' || page_limit || ',"offset":' || page_offset || ',"total":' || total
    || ',"next_cursor":' || coalesce(to_json(next_cursor)::text, 'null') || '}}'
$$;

-- The page, derived from the view: for processes that may not write.
CREATE OR REPLACE FUNCTION derived_page(
  wanted_user text, statuses text[], after_at timestamptz, after_batch text,
  page_limit bigint, page_offset bigint
) RETURNS text LANGUAGE sql STABLE AS $$
  WITH mine AS (
    SELECT b.batch_id, b.registration_at
    FROM batch_results b
    WHERE b.user_id = wanted_user AND b.registration_at IS NOT NULL
      AND (statuses IS NULL
        OR (SELECT a.result_status::text FROM batch_answer(b.batch_id) a) = ANY (statuses))
  ),
  page AS (
    SELECT m.batch_id, m.registration_at, a.body
    FROM (
      SELECT * FROM mine
      WHERE after_at IS NULL OR registration_at < after_at
        OR (registration_at = after_at AND batch_id > after_batch)
      ORDER BY registration_at DESC, batch_id
      LIMIT page_limit OFFSET page_offset
    ) m CROSS JOIN LATERAL batch_answer(m.batch_id) a
  )
  SELECT '{"batches":['
    || coalesce(string_agg(p.body, ',' ORDER BY p.registration_at DESC, p.batch_id), '')
    || list_end(page_limit, page_offset, (SELECT count(*) FROM mine), CASE WHEN count(*) = page_limit THEN
      (SELECT wire_time(l.registration_at) || '|' || l.batch_id FROM page l
        ORDER BY l.registration_at, l.batch_id DESC LIMIT 1) END)
  FROM page p
$$;

-- The page, of what is kept. `outdated`: a status of the user's batches, which a filter compares, is not
-- kept. `lacking`: batches of the page whose answers are not. The body is right if there is neither.
--
-- The body is put together in one pass, out of rows in their order: a page of hundreds of kilobytes is
-- dear to copy. In plpgsql, which keeps plans.
CREATE OR REPLACE FUNCTION kept_page(
  wanted_user text, statuses text[], after_at timestamptz, after_batch text,
  page_limit bigint, page_offset bigint,
  OUT outdated boolean, OUT lacking text[], OUT body text
) LANGUAGE plpgsql STABLE AS $$
DECLARE
  current_epoch constant integer := list_epoch();
  wanted constant batch_result_status[] := statuses;
  total bigint;
BEGIN
  SELECT count(*) INTO total FROM batch_results b
  WHERE b.user_id = wanted_user AND b.registration_at IS NOT NULL;
  outdated := false;
  IF wanted IS NOT NULL THEN
    SELECT count(*) <> total, count(*) FILTER (WHERE l.status = ANY (wanted)) INTO outdated, total
    FROM batch_lists l
    WHERE l.user_id = wanted_user AND l.status IS NOT NULL AND l.epoch = current_epoch;
  END IF;
  IF outdated THEN
    RETURN;
  END IF;
  WITH page AS MATERIALIZED (
    (SELECT l.batch_id, l.registered_at FROM batch_lists l
    WHERE wanted IS NOT NULL AND l.user_id = wanted_user AND l.status = ANY (wanted)
      AND l.epoch = current_epoch
      AND (after_at IS NULL OR l.registered_at < after_at
        OR (l.registered_at = after_at AND l.batch_id > after_batch))
    ORDER BY l.registered_at DESC, l.batch_id
    LIMIT page_limit OFFSET page_offset)
    UNION ALL
    (SELECT b.batch_id, b.registration_at FROM batch_results b
    WHERE wanted IS NULL AND b.user_id = wanted_user AND b.registration_at IS NOT NULL
      AND (after_at IS NULL OR b.registration_at < after_at
        OR (b.registration_at = after_at AND b.batch_id > after_batch))
    ORDER BY b.registration_at DESC, b.batch_id
    LIMIT page_limit OFFSET page_offset)
  ), numbered AS MATERIALIZED (
    SELECT p.*, row_number() OVER (ORDER BY p.registered_at DESC, p.batch_id) AS number FROM page p
  ), parts AS (
    SELECT 0 AS number, NULL AS lacks, '{"batches":[' AS part
    UNION ALL
    SELECT n.number, CASE WHEN a.body IS NULL THEN n.batch_id END,
      CASE WHEN n.number > 1 THEN ',' ELSE '' END || a.body
    FROM numbered n LEFT JOIN batch_answers a ON a.batch_id = n.batch_id AND a.epoch = current_epoch
    UNION ALL
    SELECT page_limit + 1, NULL, list_end(page_limit, page_offset, total,
      (SELECT wire_time(n.registered_at) || '|' || n.batch_id FROM numbered n
        WHERE n.number = page_limit))
  )
  SELECT array_agg(o.lacks) FILTER (WHERE o.lacks IS NOT NULL), string_agg(o.part, '')
  INTO lacking, body
  FROM (SELECT * FROM parts ORDER BY number) o;
END
$$;

-- A page of a user's batches, newest first. NULL: there is more to derive than fits into a second; what
-- was derived, some batches at a time, is kept, and the next call goes on. A call that the caller's time
-- limit ends keeps nothing. Each statement has a snapshot of its own: those after
-- the lock see what its last holder kept.
CREATE OR REPLACE FUNCTION list_batches(
  wanted_user text, statuses text[], after_at timestamptz, after_batch text,
  page_limit bigint, page_offset bigint
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  outdated boolean;
  lacking text[];
  body text;
  until constant timestamptz := clock_timestamp() + interval '1 second';
BEGIN
  IF current_setting('transaction_read_only')::boolean THEN
    RETURN derived_page(wanted_user, statuses, after_at, after_batch, page_limit, page_offset);
  END IF;
  IF EXISTS (SELECT FROM list_marks) THEN
    PERFORM pg_advisory_xact_lock(list_lock());
    PERFORM take_list_marks();
  END IF;
  LOOP
    SELECT p.* INTO outdated, lacking, body
    FROM kept_page(wanted_user, statuses, after_at, after_batch, page_limit, page_offset) p;
    EXIT WHEN NOT outdated AND lacking IS NULL;
    PERFORM pg_advisory_xact_lock(list_lock());
    IF clock_timestamp() > until THEN
      RETURN NULL;
    ELSIF outdated THEN
      WHILE clock_timestamp() < until AND keep_statuses(wanted_user, 50) > 0 LOOP
      END LOOP;
    ELSE
      PERFORM keep_answers(lacking);
    END IF;
  END LOOP;
  RETURN body;
END
$$;
