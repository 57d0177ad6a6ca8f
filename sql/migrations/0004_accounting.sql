-- What became of every event, moved together with the offset that passes it, and which scripts
-- handled which offsets.

ALTER TABLE consumer_offsets
  ADD COLUMN fresh_offset bigint NOT NULL DEFAULT 0, -- below: a replay, Redis is not asked
  ADD COLUMN scripts text,                           -- hash of the generation that handles it
  ADD COLUMN applied bigint NOT NULL DEFAULT 0,
  ADD COLUMN superseded bigint NOT NULL DEFAULT 0,
  ADD COLUMN ignored bigint NOT NULL DEFAULT 0,
  ADD COLUMN duplicate bigint NOT NULL DEFAULT 0,
  ADD COLUMN rejected bigint NOT NULL DEFAULT 0;

-- From which offset on which scripts handled a partition: one row a change.
CREATE TABLE offset_scripts (
  consumer_group text,
  topic text,
  partition integer,
  from_offset bigint,
  scripts text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer_group, topic, partition, from_offset, changed_at)
);

ALTER TABLE rejected_events ALTER COLUMN generation TYPE text;

DROP FUNCTION advance_offset(text, text, integer, bigint, bigint);

-- Compare-and-set: a consumer that lost its partition fails here, before it has written a row.
CREATE FUNCTION advance_offset(
  wanted_group text, wanted_topic text, wanted_partition integer, expected bigint, next bigint,
  wanted_scripts text, add_applied integer, add_superseded integer, add_ignored integer,
  add_duplicate integer, add_rejected integer
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  held consumer_offsets;
BEGIN
  SELECT * INTO held FROM consumer_offsets
  WHERE consumer_group = wanted_group AND topic = wanted_topic AND partition = wanted_partition
  FOR UPDATE;
  IF held.next_offset IS DISTINCT FROM expected THEN
    RAISE EXCEPTION 'partition % of % is at offset %, not %', wanted_partition, wanted_topic,
      held.next_offset, expected USING ERRCODE = 'AG001';
  END IF;
  IF held.scripts IS DISTINCT FROM wanted_scripts THEN
    INSERT INTO offset_scripts (consumer_group, topic, partition, from_offset, scripts)
    VALUES (wanted_group, wanted_topic, wanted_partition, greatest(expected, 0), wanted_scripts)
    ON CONFLICT DO NOTHING;
  END IF;
  UPDATE consumer_offsets SET next_offset = next, scripts = wanted_scripts,
    applied = applied + add_applied, superseded = superseded + add_superseded,
    ignored = ignored + add_ignored, duplicate = duplicate + add_duplicate,
    rejected = rejected + add_rejected
  WHERE consumer_group = wanted_group AND topic = wanted_topic AND partition = wanted_partition;
END
$$;
