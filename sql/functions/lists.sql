-- What lists of a user's batches read, kept with the view's rows. Triggers note in the transaction of
-- a change which ids it touches (list_marks): they only insert, so that ingestion neither waits for
-- lists nor for another worker. A list takes the marks first and outdates what depends on the ids;
-- then it derives what is outdated or missing, and keeps it. Takers and keepers have one advisory lock:
-- a keeper's snapshot has every change whose mark was taken before, and the mark of every other change
-- is still there.
--
-- A user who has asked for a filter is in list_users: all his registered batches are in batch_lists
-- then, and the taker of a mark adds a new one. He leaves the table only with its epoch.
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
-- SECURITY DEFINER: who writes a row has no right to the marks. `migrate` puts pg_temp last in the path.

CREATE OR REPLACE FUNCTION mark_essays() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM mark_lists(array_agg(c.batch_id) FILTER (WHERE c.batch_id IS NOT NULL),
    array_agg(c.essay_id) FILTER (WHERE c.batch_id IS NULL))
  FROM (
    SELECT linked_batch_id AS batch_id, CASE WHEN linked_batch_id IS NULL THEN essay_id END AS essay_id
    FROM changed GROUP BY 1, 2
  ) c;
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

-- Of a row whose list changed: essays that are in it no longer. For each row: to capture the rows before
-- an update costs every update.
CREATE OR REPLACE FUNCTION mark_essays_left_out() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM mark_lists(NULL, OLD.essay_ids);
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
  INSERT INTO list_marks (count) VALUES (1000000); -- more than are taken one by one
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
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION mark_batches();
DROP FUNCTION IF EXISTS mark_changed_batches(); -- of the text before
CREATE OR REPLACE TRIGGER lists_left_out AFTER UPDATE ON batch_results
  FOR EACH ROW WHEN (OLD.essay_ids IS DISTINCT FROM NEW.essay_ids) EXECUTE FUNCTION mark_essays_left_out();
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

-- The sums of numbers by key.
CREATE OR REPLACE FUNCTION add_counts(one jsonb, other jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(jsonb_object_agg(s.key, s.sum), '{}') FROM (
    SELECT c.key, sum(c.value::bigint)
    FROM (SELECT * FROM jsonb_each_text(one) UNION ALL SELECT * FROM jsonb_each_text(other)) c
    GROUP BY c.key
  ) s
$$;

-- How many of these batches have each status.
CREATE OR REPLACE FUNCTION kept_counts(wanted text[]) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT coalesce(jsonb_object_agg(c.status, c.count), '{}') FROM (
    SELECT status, count(*) FROM batch_lists WHERE batch_id = ANY (wanted) AND status IS NOT NULL
    GROUP BY status
  ) c
$$;

-- Outdates the rows of these batches in batch_lists, as the view has them: a new batch of a user in
-- list_users comes in, one that is no longer registered goes.
CREATE OR REPLACE FUNCTION outdate_batches(changed text[]) RETURNS void LANGUAGE sql AS $$
  WITH present AS MATERIALIZED (
    SELECT batch_id, user_id, status, epoch FROM batch_lists WHERE batch_id = ANY (changed)
  ), registered AS MATERIALIZED (
    SELECT b.batch_id, b.user_id, b.registration_at FROM batch_results b
    WHERE b.batch_id = ANY (changed) AND b.registration_at IS NOT NULL
      AND (b.batch_id IN (SELECT p.batch_id FROM present p)
        OR EXISTS (SELECT FROM list_users u WHERE u.user_id = b.user_id AND u.epoch = list_epoch()))
  ), gone AS (
    DELETE FROM batch_lists WHERE batch_id IN (
      SELECT p.batch_id FROM present p EXCEPT SELECT r.batch_id FROM registered r)
  ), outdated AS (
    INSERT INTO batch_lists AS l (batch_id, user_id, registered_at, epoch)
    SELECT batch_id, user_id, registration_at, list_epoch() FROM registered
    ON CONFLICT (batch_id) DO UPDATE SET user_id = EXCLUDED.user_id,
      registered_at = EXCLUDED.registered_at, status = NULL, epoch = EXCLUDED.epoch
  ), lost AS (
    SELECT c.user_id, jsonb_object_agg(c.status, -c.count) AS counts
    FROM (
      SELECT user_id, status, count(*) FROM present
      WHERE status IS NOT NULL AND epoch = list_epoch() GROUP BY user_id, status
    ) c
    GROUP BY c.user_id
  )
  UPDATE list_users u SET is_derived = false, counts = coalesce(
    (SELECT add_counts(u.counts, l.counts) FROM lost l WHERE l.user_id = u.user_id), u.counts)
  WHERE u.user_id IN (SELECT p.user_id FROM present p UNION SELECT r.user_id FROM registered r)
$$;

-- Outdates the kept answers with any of these tags, which are different; the batches. GIN's work for
-- each row that it finds grows with the number of tags, so they are looked up in portions. The planner
-- must not see these: it takes them for frequent, and reads the table. Where few answers are kept, all
-- their tags are compared in one pass.
CREATE OR REPLACE FUNCTION outdate_answers(touched bigint[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  portion constant integer := 1000;
  most_kept constant integer := cardinality(touched) / 2;
  part bigint[];
  gone text[];
  outdated text[];
BEGIN
  IF (SELECT count(*) FROM (SELECT FROM batch_answers LIMIT most_kept + 1) a) <= most_kept THEN
    WITH tagged AS MATERIALIZED (
      SELECT a.batch_id, unnest(a.tags) AS tag FROM batch_answers a
    ), found AS MATERIALIZED (
      SELECT t.batch_id FROM tagged t JOIN unnest(touched) AS h (hash) ON h.hash = t.tag
    ), deleted AS (
      DELETE FROM batch_answers WHERE batch_id IN (SELECT f.batch_id FROM found f) RETURNING batch_id
    )
    SELECT array_agg(d.batch_id) INTO outdated FROM deleted d;
    RETURN outdated;
  END IF;
  FOR start IN 1 .. cardinality(touched) BY portion LOOP
    part := touched[start : start + portion - 1];
    WITH deleted AS (DELETE FROM batch_answers WHERE tags && (SELECT part) RETURNING batch_id)
    SELECT array_agg(d.batch_id) INTO gone FROM deleted d;
    outdated := outdated || gone;
  END LOOP;
  RETURN outdated;
END
$$;

-- Outdates what depends on the batches and essays that are marked, and on the essays of these batches:
-- all that is kept, if that is too much to be looked up within a request, or if many are marked and few
-- are kept, as beside full ingestion: a page costs less than to find what they touch. Only for the
-- holder of the lock.
CREATE OR REPLACE FUNCTION take_list_marks() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  many_ids constant integer := 300;
  most_ids constant integer := 3000;
  most_names constant integer := 100000; -- 0.1 s of Postgres' CPU
  marked_batches text[];
  marked_essays text[];
  touched bigint[];
  ids integer;
  names bigint;
BEGIN
  IF list_marks_abound() THEN
    PERFORM drop_list_marks();
    RETURN;
  END IF;
  WITH taken AS (DELETE FROM list_marks RETURNING batches, essays)
  SELECT (SELECT array_agg(DISTINCT b.id COLLATE "C") FROM taken, unnest(batches) AS b (id)),
    (SELECT array_agg(DISTINCT e.id COLLATE "C") FROM taken, unnest(essays) AS e (id))
  INTO marked_batches, marked_essays;
  ids := cardinality(marked_batches || marked_essays);
  IF ids > most_ids OR (ids > many_ids AND NOT EXISTS (
    SELECT FROM (SELECT FROM batch_lists UNION ALL SELECT FROM batch_answers) k OFFSET ids))
  THEN
    PERFORM drop_list_marks();
    RETURN;
  END IF;
  SELECT count(*), array_agg(DISTINCT hashtextextended(t.id COLLATE "C", 0)) INTO names, touched
  FROM (
    SELECT unnest(marked_batches || marked_essays)
    UNION ALL (SELECT n.essay_id FROM batch_names(marked_batches) n LIMIT most_names + 1)
  ) AS t (id);
  IF names > most_names THEN
    PERFORM drop_list_marks();
  ELSIF names > 0 THEN -- else another list has taken the marks in the meantime
    PERFORM outdate_batches(marked_batches || outdate_answers(touched));
  END IF;
END
$$;

-- Derives answers and keeps them, one at least, up to a moment: what is left, the next call does. Only
-- for the holder of the lock.
CREATE OR REPLACE FUNCTION keep_answers(wanted text[], until timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  one text;
BEGIN
  FOREACH one IN ARRAY wanted LOOP
    INSERT INTO batch_answers (batch_id, tags, body, epoch)
    SELECT one, (SELECT array_agg(hashtextextended(t.id, 0))
        FROM (SELECT one UNION ALL SELECT essay_id FROM batch_candidates(ARRAY[one])) AS t (id)),
      a.body, list_epoch()
    FROM batch_results b CROSS JOIN LATERAL batch_answer(b.batch_id) a
    WHERE b.batch_id = one AND is_answerable(one)
    ON CONFLICT (batch_id) DO UPDATE
      SET tags = EXCLUDED.tags, body = EXCLUDED.body, epoch = EXCLUDED.epoch;
    EXIT WHEN clock_timestamp() > until;
  END LOOP;
END
$$;
DROP FUNCTION IF EXISTS keep_answers(text[]); -- of the text before

-- Adds some of the user's batches that are not kept, without their statuses. A batch that is another
-- user's here has a mark. Only for the holder of the lock. The number of batches.
CREATE OR REPLACE FUNCTION keep_batches(wanted_user text, most integer) RETURNS integer
LANGUAGE sql AS $$
  WITH kept AS (
    INSERT INTO batch_lists (batch_id, user_id, registered_at, epoch)
    SELECT b.batch_id, b.user_id, b.registration_at, list_epoch() FROM batch_results b
    WHERE b.user_id = wanted_user AND b.registration_at IS NOT NULL AND NOT EXISTS (
      SELECT FROM batch_lists l WHERE l.batch_id = b.batch_id AND l.epoch = list_epoch())
    LIMIT most
    ON CONFLICT (batch_id) DO UPDATE SET user_id = EXCLUDED.user_id,
      registered_at = EXCLUDED.registered_at, status = NULL, epoch = EXCLUDED.epoch
    RETURNING 1
  )
  SELECT count(*)::integer FROM kept
$$;

-- Keeps the statuses of batches of which no phase was reported and which have not ended: they depend on
-- results of essays. So do their rows in batch_answers, whose bodies are derived once a page shows them.
-- Only for the holder of the lock.
CREATE OR REPLACE FUNCTION keep_statuses_by_essays(wanted text[]) RETURNS void LANGUAGE sql AS $$
  WITH named AS MATERIALIZED (
    SELECT n.batch_id, array_agg(DISTINCT n.essay_id) AS ids FROM batch_names(wanted) n GROUP BY n.batch_id
  ), tagged AS MATERIALIZED (
    SELECT w.batch_id, n.ids, hashtextextended(w.batch_id COLLATE "C", 0) || id_hashes(n.ids) AS tags
    FROM unnest(wanted) AS w (batch_id) LEFT JOIN named n USING (batch_id)
    WHERE is_answerable(w.batch_id)
  ), kept AS (
    INSERT INTO batch_answers AS a (batch_id, tags, epoch)
    SELECT batch_id, tags, list_epoch() FROM tagged
    ON CONFLICT (batch_id) DO UPDATE SET tags = EXCLUDED.tags, body = NULL, epoch = EXCLUDED.epoch
      WHERE a.epoch <> EXCLUDED.epoch
  )
  UPDATE batch_lists l SET status = CASE
    -- The first two spare most batches the third, which takes half a millisecond: an essay with a result
    -- that no other registration lists is shown; and without any result none has started.
    WHEN EXISTS (
      SELECT FROM batch_results b CROSS JOIN unnest(b.essay_ids) AS u (essay_id)
      JOIN essay_results e USING (essay_id)
      WHERE b.batch_id = t.batch_id AND e.first_result_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM batch_results o WHERE o.batch_id <> t.batch_id
          AND id_hashes(o.essay_ids) && ARRAY[hashtextextended(u.essay_id COLLATE "C", 0)])
    ) THEN 'PROCESSING'
    WHEN NOT EXISTS (SELECT FROM essay_results e
        WHERE e.essay_id = ANY (t.ids) AND e.first_result_at IS NOT NULL)
      AND NOT EXISTS (SELECT FROM assessments a WHERE id_hashes(a.essay_ids) && t.tags) THEN 'REGISTERED'
    WHEN EXISTS (SELECT FROM batch_essays(t.batch_id) e WHERE e.started_at IS NOT NULL) THEN 'PROCESSING'
    ELSE 'REGISTERED'
  END::batch_result_status
  FROM tagged t WHERE l.batch_id = t.batch_id
$$;

-- Derives the statuses of some of the user's batches that have none, all at once, and keeps them. Only
-- for the holder of the lock. The number of batches.
CREATE OR REPLACE FUNCTION keep_statuses(wanted_user text, most integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
  found text[];
  undecided text[];
BEGIN
  SELECT array_agg(f.batch_id) INTO found FROM (
    SELECT l.batch_id FROM batch_lists l
    WHERE l.user_id = wanted_user AND l.status IS NULL AND l.epoch = list_epoch()
    LIMIT most
  ) f;
  IF found IS NULL THEN
    RETURN 0;
  END IF;
  WITH states AS MATERIALIZED (
    SELECT s.batch_id, coalesce(s.end_status,
      CASE WHEN s.reported > 0 THEN 'PROCESSING' END::batch_result_status) AS status
    FROM batch_states(found) s
  ), kept AS (
    UPDATE batch_lists l SET status = s.status FROM states s WHERE l.batch_id = s.batch_id
  ), gone AS ( -- no longer registered, and the mark of that change is still there
    DELETE FROM batch_lists l WHERE l.batch_id = ANY (found)
      AND NOT EXISTS (SELECT FROM states s WHERE s.batch_id = l.batch_id)
  )
  SELECT array_agg(s.batch_id) INTO undecided FROM states s WHERE s.status IS NULL;
  IF undecided IS NOT NULL THEN
    PERFORM keep_statuses_by_essays(undecided);
  END IF;
  UPDATE list_users SET counts = add_counts(counts, kept_counts(found)) WHERE user_id = wanted_user;
  RETURN cardinality(found);
END
$$;

-- Keeps what a filter reads of the user's batches, up to a moment: what is left, the next call does.
-- Only for the holder of the lock.
CREATE OR REPLACE FUNCTION keep_user(wanted_user text, until timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  portion constant integer := 250; -- 25 ms of Postgres' CPU, ten times that on a busy machine
  done integer;
BEGIN
  IF NOT EXISTS (SELECT FROM list_users WHERE user_id = wanted_user AND epoch = list_epoch()) THEN
    LOOP
      done := keep_batches(wanted_user, 8 * portion);
      EXIT WHEN done < 8 * portion;
      IF clock_timestamp() > until THEN
        RETURN;
      END IF;
    END LOOP;
    INSERT INTO list_users (user_id, epoch, is_derived, counts)
    SELECT wanted_user, list_epoch(), false, kept_counts(array_agg(l.batch_id)) FROM batch_lists l
    WHERE l.user_id = wanted_user AND l.epoch = list_epoch()
    ON CONFLICT (user_id) DO UPDATE
      SET epoch = EXCLUDED.epoch, is_derived = false, counts = EXCLUDED.counts;
  END IF;
  WHILE keep_statuses(wanted_user, portion) > 0 LOOP
    IF clock_timestamp() > until THEN
      RETURN;
    END IF;
  END LOOP;
  UPDATE list_users SET is_derived = true WHERE user_id = wanted_user;
END
$$;

-- ---- a page -------------------------------------------------------------------------------------

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

-- The batches of a page in their order: the kept statuses must be up to date. Each status is read in the
-- order of an index.
CREATE OR REPLACE FUNCTION list_page(
  wanted_user text, statuses text[], after_at timestamptz, after_batch text,
  page_limit bigint, page_offset bigint
) RETURNS TABLE (batch_id text, registered_at timestamptz) LANGUAGE plpgsql STABLE AS $$
DECLARE
  not_after constant timestamptz := coalesce(after_at, 'infinity');
BEGIN
  IF statuses IS NULL THEN
    RETURN QUERY SELECT b.batch_id, b.registration_at FROM batch_results b
    WHERE b.user_id = wanted_user AND b.registration_at <= not_after
      AND (after_at IS NULL OR b.registration_at < after_at
        OR (b.registration_at = after_at AND b.batch_id > after_batch))
    ORDER BY b.registration_at DESC, b.batch_id LIMIT page_limit OFFSET page_offset;
  ELSE
    RETURN QUERY SELECT p.batch_id, p.registered_at
    FROM (SELECT DISTINCT unnest(statuses::batch_result_status[]) AS status) w CROSS JOIN LATERAL (
      SELECT l.batch_id, l.registered_at FROM batch_lists l
      WHERE l.user_id = wanted_user AND l.status = w.status AND l.epoch = list_epoch()
        AND l.registered_at <= not_after AND (after_at IS NULL OR l.registered_at < after_at
          OR (l.registered_at = after_at AND l.batch_id > after_batch))
      ORDER BY l.registered_at DESC, l.batch_id LIMIT page_limit + page_offset
    ) p
    ORDER BY p.registered_at DESC, p.batch_id LIMIT page_limit OFFSET page_offset;
  END IF;
END
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
  counts jsonb;
  total bigint;
BEGIN
  SELECT u.counts INTO counts FROM list_users u
  WHERE u.user_id = wanted_user AND u.epoch = current_epoch AND u.is_derived;
  outdated := statuses IS NOT NULL AND counts IS NULL;
  IF outdated THEN
    RETURN;
  ELSIF counts IS NULL THEN
    SELECT count(*) INTO total FROM batch_results b
    WHERE b.user_id = wanted_user AND b.registration_at IS NOT NULL;
  ELSE
    SELECT coalesce(sum(c.value::bigint), 0) INTO total FROM jsonb_each_text(counts) c
    WHERE statuses IS NULL OR c.key = ANY (statuses);
  END IF;
  WITH numbered AS MATERIALIZED (
    SELECT p.*, row_number() OVER (ORDER BY p.registered_at DESC, p.batch_id) AS number
    FROM list_page(wanted_user, statuses, after_at, after_batch, page_limit, page_offset) p
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
-- was derived, some batches at a time, is kept, and the next call goes on. A call that the
-- caller's time limit ends keeps nothing. Each statement has a snapshot of its own: those after the lock
-- see what its last holder kept.
CREATE OR REPLACE FUNCTION list_batches(
  wanted_user text, statuses text[], after_at timestamptz, after_batch text,
  page_limit bigint, page_offset bigint
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  outdated boolean;
  lacking text[];
  body text;
  answered boolean := false;
  locked boolean := false;
  until timestamptz := clock_timestamp() + interval '1 second';
  for_work constant interval := '0.4 seconds'; -- at least, however long the lock was waited for
BEGIN
  IF current_setting('transaction_read_only')::boolean THEN
    RETURN derived_page(wanted_user, statuses, after_at, after_batch, page_limit, page_offset);
  END IF;
  IF EXISTS (SELECT FROM list_marks) THEN
    PERFORM pg_advisory_xact_lock(list_lock());
    PERFORM take_list_marks();
    locked := true;
    until := greatest(until, clock_timestamp() + for_work);
  END IF;
  LOOP
    SELECT p.* INTO outdated, lacking, body
    FROM kept_page(wanted_user, statuses, after_at, after_batch, page_limit, page_offset) p;
    EXIT WHEN NOT outdated AND lacking IS NULL;
    IF NOT locked THEN
      PERFORM pg_advisory_xact_lock(list_lock());
      locked := true;
      until := greatest(until, clock_timestamp() + for_work);
    END IF;
    IF clock_timestamp() > until AND (outdated OR answered) THEN
      RETURN NULL;
    ELSIF outdated THEN
      PERFORM keep_user(wanted_user, until);
    ELSE
      PERFORM keep_answers(lacking, until);
      answered := true;
    END IF;
  END LOOP;
  RETURN body;
END
$$;
