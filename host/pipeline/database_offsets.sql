-- name: add
INSERT INTO aggregator_state.consumer_offsets (consumer_group, topic, partition, next_offset)
SELECT $1::text, topic, partition, -1
FROM unnest($2::text[], $3::int4[]) AS w (topic, partition)
ORDER BY topic, partition
ON CONFLICT DO NOTHING

-- name: add_topics
-- A topic without a row is new to the group; a partition that a known topic lacks was added since.
INSERT INTO aggregator_state.consumer_offsets (consumer_group, topic, partition, next_offset)
SELECT $1::text, w.topic, w.partition, CASE WHEN k.topic IS NULL THEN -1 ELSE 0 END
FROM unnest($2::text[], $3::int4[]) AS w (topic, partition)
LEFT JOIN (
    SELECT DISTINCT o.topic
    FROM aggregator_state.consumer_offsets o
    WHERE o.consumer_group = $1::text) AS k ON k.topic = w.topic
ORDER BY w.topic, w.partition
ON CONFLICT DO NOTHING

-- name: load
-- FOR SHARE waits for the previous owner's transaction, so that the offsets are final. Columns six and
-- seven are a cache_position: the partition's name and the count of its committed events.
SELECT o.topic, o.partition::text, o.next_offset::text, o.fresh_offset::text,
  CASE WHEN o.last_offset = o.next_offset - 1
    THEN (extract(epoch FROM o.last_time) * 1000000)::int8::text END,
  (o.consumer_group || '/' || o.topic || '/' || o.partition),
  (o.applied + o.superseded + o.ignored + o.duplicate + o.rejected + o.expired)::text,
  coalesce(o.last_offset + 1, 0)::text
FROM aggregator_state.consumer_offsets o
JOIN unnest($2::text[], $3::int4[]) AS w (topic, partition) USING (topic, partition)
WHERE o.consumer_group = $1::text
ORDER BY o.topic, o.partition FOR SHARE OF o

-- name: unmoved
SELECT NOT EXISTS (
    SELECT
    FROM unnest($2::text[], $3::int4[], $4::int8[]) AS w (topic, partition, next_offset)
    LEFT JOIN aggregator_state.consumer_offsets o ON o.consumer_group = $1::text
      AND o.topic = w.topic AND o.partition = w.partition
    WHERE o.next_offset IS DISTINCT FROM w.next_offset)

-- name: move
SELECT aggregator_state.move_offset($1::text, topic, partition, expected, next)
FROM unnest($2::text[], $3::int4[], $4::int8[], $5::int8[])
    AS m (topic, partition, expected, next)
ORDER BY topic, partition

-- name: lock
SELECT
FROM aggregator_state.consumer_offsets o
JOIN unnest($2::text[], $3::int4[]) AS w (topic, partition) USING (topic, partition)
WHERE o.consumer_group = $1::text
ORDER BY o.topic, o.partition FOR UPDATE OF o

-- name: advance
SELECT aggregator_state.advance_offset(
    $1::text, topic, partition, expected, next, at, $2::text, applied, superseded, ignored,
    duplicate, rejected, expired, $14::uuid, CASE WHEN number = 1 THEN $15::bytea END)
FROM unnest(
    $3::text[], $4::int4[], $5::int8[], $6::int8[], $7::timestamptz[], $8::int4[], $9::int4[],
    $10::int4[], $11::int4[], $12::int4[], $13::int4[]) WITH ORDINALITY
    AS a (topic, partition, expected, next, at, applied, superseded, ignored, duplicate, rejected, expired,
      number)
ORDER BY topic, partition

-- name: epoch
-- What identifies the database and its table of offsets; offsets_epoch hashes it.
SELECT * FROM aggregator_state.epoch()
