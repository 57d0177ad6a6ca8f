-- What the host keeps beside the view: where each partition goes on, and what was rejected.

CREATE TABLE consumer_offsets (
  consumer_group text,
  topic text,
  partition integer,
  next_offset bigint NOT NULL,
  PRIMARY KEY (consumer_group, topic, partition)
) WITH (fillfactor = 50);

-- Compare-and-set: a consumer that lost its partition fails here, before it has written a row.
CREATE FUNCTION advance_offset(
  wanted_group text, wanted_topic text, wanted_partition integer, expected bigint, next bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE consumer_offsets SET next_offset = next
  WHERE consumer_group = wanted_group AND topic = wanted_topic
    AND partition = wanted_partition AND next_offset = expected;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'partition % of % is not at offset %', wanted_partition, wanted_topic, expected
      USING ERRCODE = 'AG001';
  END IF;
END
$$;

CREATE TABLE rejected_events (
  topic text,
  partition integer,
  "offset" bigint,
  rejected_at timestamptz NOT NULL DEFAULT now(),
  reason text NOT NULL,
  detail text,
  raw bytea,
  event_id text,
  correlation_id text,
  handler text,
  generation bigint,
  PRIMARY KEY (topic, partition, "offset")
);
CREATE INDEX rejected_events_by_age ON rejected_events (rejected_at);
