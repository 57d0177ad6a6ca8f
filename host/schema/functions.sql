-- The functions of the program's own tables. Applied whole whenever this text has changed.

-- Compare-and-set: a consumer that lost its partition fails here, before it has written a row.
CREATE OR REPLACE FUNCTION aggregator_state.advance_offset(
  wanted_group text, wanted_topic text, wanted_partition integer, expected bigint, next bigint,
  at timestamptz, wanted_scripts text, add_applied integer, add_superseded integer, add_ignored integer,
  add_duplicate integer, add_rejected integer, add_expired integer, wanted_commit uuid, touched bytea
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  held aggregator_state.consumer_offsets;
  passed bigint := next - greatest(expected, 0);
  counted bigint := add_applied::bigint + add_superseded + add_ignored + add_duplicate
    + add_rejected + add_expired;
BEGIN
  SELECT * INTO held FROM aggregator_state.consumer_offsets
  WHERE consumer_group = wanted_group AND topic = wanted_topic AND partition = wanted_partition
  FOR UPDATE;
  IF held.next_offset IS DISTINCT FROM expected THEN
    RAISE EXCEPTION 'partition % of % is at offset %, not %', wanted_partition, wanted_topic,
      held.next_offset, expected USING ERRCODE = 'AG001';
  END IF;
  -- Fewer events than offsets is what a log with gaps looks like; more is a fault of the program.
  IF counted NOT BETWEEN 1 AND passed
    OR least(add_applied, add_superseded, add_ignored, add_duplicate, add_rejected, add_expired) < 0
  THEN
    RAISE EXCEPTION 'partition % of %: % events counted from offset % to %', wanted_partition,
      wanted_topic, counted, expected, next USING ERRCODE = 'AG002';
  END IF;
  IF held.scripts IS DISTINCT FROM wanted_scripts THEN
    INSERT INTO aggregator_state.offset_scripts (consumer_group, topic, partition, from_offset, scripts)
    VALUES (wanted_group, wanted_topic, wanted_partition, greatest(expected, 0), wanted_scripts)
    ON CONFLICT DO NOTHING;
  END IF;
  UPDATE aggregator_state.consumer_offsets SET next_offset = next, last_offset = next - 1, last_time = at,
    scripts = wanted_scripts, applied = applied + add_applied, superseded = superseded + add_superseded,
    ignored = ignored + add_ignored, duplicate = duplicate + add_duplicate,
    rejected = rejected + add_rejected, expired = expired + add_expired, skipped = skipped + passed - counted,
    commit_id = wanted_commit, commit_events = counted, commit_tags = touched
  WHERE consumer_group = wanted_group AND topic = wanted_topic AND partition = wanted_partition;
END
$$;

-- Compare-and-set of an offset where the log does not have what is expected: the first one of a
-- partition never read (-1), the first that is left behind a gap, or another log's.
CREATE OR REPLACE FUNCTION aggregator_state.move_offset(
  wanted_group text, wanted_topic text, wanted_partition integer, expected bigint, next bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE aggregator_state.consumer_offsets SET next_offset = next,
    -- back: it may be of a log that was
    last_offset = CASE WHEN next >= expected THEN last_offset END,
    skipped = skipped + CASE WHEN expected >= 0 THEN greatest(next - expected, 0) ELSE 0 END,
    -- Redis remembers offsets of the log that was
    fresh_offset = CASE WHEN next < expected THEN greatest(fresh_offset, expected)
      ELSE fresh_offset END
  WHERE consumer_group = wanted_group AND topic = wanted_topic AND partition = wanted_partition
    AND next_offset = expected;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'partition % of % is no longer at offset %', wanted_partition, wanted_topic,
      expected USING ERRCODE = 'AG001';
  END IF;
END
$$;

-- advance_offset of the release before, which does not say what it touches.
CREATE OR REPLACE FUNCTION aggregator_state.advance_offset(
  wanted_group text, wanted_topic text, wanted_partition integer, expected bigint, next bigint,
  at timestamptz, wanted_scripts text, add_applied integer, add_superseded integer, add_ignored integer,
  add_duplicate integer, add_rejected integer, add_expired integer
) RETURNS void LANGUAGE sql AS $$
  SELECT aggregator_state.advance_offset(wanted_group, wanted_topic, wanted_partition, expected, next, at,
    wanted_scripts, add_applied, add_superseded, add_ignored, add_duplicate, add_rejected, add_expired,
    NULL, NULL)
$$;

-- advance_offset of releases that do not count expired events.
CREATE OR REPLACE FUNCTION aggregator_state.advance_offset(
  wanted_group text, wanted_topic text, wanted_partition integer, expected bigint, next bigint,
  at timestamptz, wanted_scripts text, add_applied integer, add_superseded integer, add_ignored integer,
  add_duplicate integer, add_rejected integer
) RETURNS void LANGUAGE sql AS $$
  SELECT aggregator_state.advance_offset(wanted_group, wanted_topic, wanted_partition, expected, next, at,
    wanted_scripts, add_applied, add_superseded, add_ignored, add_duplicate, add_rejected, 0, NULL, NULL)
$$;

-- Holds the horizon of a table of the view until the transaction ends: what it has judged by the horizon
-- stays true. The first call of a table makes the row that all hold. Only the move of the horizon locks it FOR
-- UPDATE (retention/sweep.sql): the sweep's other updates of the row wait for nobody.
CREATE OR REPLACE FUNCTION aggregator_state.hold_horizon(wanted_root text, expected timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  held timestamptz;
BEGIN
  SELECT expired_before INTO held FROM aggregator_state.retention WHERE root = wanted_root FOR KEY SHARE;
  IF NOT FOUND THEN
    INSERT INTO aggregator_state.retention (root) VALUES (wanted_root) ON CONFLICT DO NOTHING;
    SELECT expired_before INTO STRICT held FROM aggregator_state.retention WHERE root = wanted_root FOR KEY SHARE;
  END IF;
  IF held IS DISTINCT FROM expected THEN
    RAISE EXCEPTION 'the horizon of % is %, not %', wanted_root, held, expected USING ERRCODE = 'AG001';
  END IF;
END
$$;

-- Ids for messages of the outbox. SECURITY DEFINER: a role that stores them has no right to the sequence.
CREATE OR REPLACE FUNCTION aggregator_state.outbox_ids(wanted bigint) RETURNS SETOF bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT nextval('aggregator_state.outbox_id_seq') FROM generate_series(1, wanted);
END
$$;

-- What identifies the database and its table of offsets. A promoted standby may lack what the former
-- primary committed: it is another database, which the timeline tells. On Citus the same on every node
-- (citus.sql).
CREATE OR REPLACE FUNCTION aggregator_state.epoch(
  OUT system text, OUT database text, OUT offsets text, OUT timeline text
) LANGUAGE sql STABLE AS $$
  SELECT (SELECT system_identifier::text FROM pg_control_system()),
    (SELECT oid::text FROM pg_database WHERE datname = current_database()),
    'aggregator_state.consumer_offsets'::regclass::oid::text,
    (SELECT CASE WHEN pg_is_in_recovery() THEN ''
       ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END)
$$;

-- Begins the writes of a transaction. Postgres needs nothing; citus.sql has the form that does something. In
-- PL/pgSQL, as the next: Postgres reads the text of a function in SQL again for each call.
CREATE OR REPLACE FUNCTION aggregator_state.begin_writes() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';

-- Waits until what a transaction of another session has committed is visible whole, once a part of it is.
-- Postgres shows a commit at once; citus.sql has the form that waits.
CREATE OR REPLACE FUNCTION aggregator_state.await_commits() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';

-- Sums the bytes only if the table with its indexes exceeds the limit. `tableoid` is the table on the node
-- that has its rows. Rows of one transaction stay or go together, and the newest stay. SKIP LOCKED: two
-- workers must not wait for each other.
CREATE OR REPLACE FUNCTION aggregator_state.trim_rejected(
  keep_hours bigint, keep_rows bigint, keep_bytes bigint
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  has_bytes constant bigint := (SELECT pg_total_relation_size(tableoid)
    FROM aggregator_state.rejected_events ORDER BY rejected_at DESC LIMIT 1);
BEGIN
  DELETE FROM aggregator_state.rejected_events
  WHERE ctid = ANY (ARRAY(
    SELECT ctid
    FROM aggregator_state.rejected_events
    WHERE rejected_at < greatest(
      now() - keep_hours * interval '1 hour',
      (SELECT rejected_at
       FROM aggregator_state.rejected_events
       ORDER BY rejected_at DESC OFFSET keep_rows LIMIT 1),
      (SELECT max(rejected_at)
       FROM (
         SELECT rejected_at,
           sum(200 + coalesce(pg_column_size(raw), 0) + coalesce(pg_column_size(detail), 0))
             OVER (ORDER BY rejected_at DESC) AS bytes
         FROM aggregator_state.rejected_events
         WHERE has_bytes > keep_bytes) AS kept
       WHERE bytes > keep_bytes))
    FOR UPDATE SKIP LOCKED));
END
$$;
