-- name: claim
WITH claim AS (
  UPDATE aggregator_state.outbox_relay
  SET holder = $1::text, until = now() + $2::int8 * interval '1 ms'
  WHERE holder = $1::text OR until = '-infinity' OR (until < now() AND $3::bool)
  RETURNING 1)
SELECT EXISTS (SELECT 1 FROM claim), until < now(),
  (SELECT count(*) < 2 FROM aggregator_state.instances
    WHERE stopped_at IS NULL AND last_seen > now() - interval '30 s')
FROM aggregator_state.outbox_relay

-- name: lease
INSERT INTO aggregator_state.outbox_relay DEFAULT VALUES ON CONFLICT DO NOTHING

-- name: release
UPDATE aggregator_state.outbox_relay
SET until = '-infinity'
WHERE holder = $1::text

-- name: take
-- No message of a skipped topic is read: each topic is found by the one before it, and its first messages
-- by their index, which Postgres takes for a range of topics in order, not for one topic. A fact dated in
-- the future counts from its row on (created_at), or it would never be past the horizon.
WITH RECURSIVE topics AS (
  (SELECT topic FROM aggregator_state.outbox WHERE state = 'pending' ORDER BY topic LIMIT 1)
  UNION ALL
  SELECT (
    SELECT o.topic
    FROM aggregator_state.outbox o
    WHERE o.state = 'pending' AND o.topic > t.topic
    ORDER BY o.topic LIMIT 1)
  FROM topics t
  WHERE t.topic IS NOT NULL),
first AS (
  SELECT found.id
  FROM topics t CROSS JOIN LATERAL (
    SELECT o.id
    FROM aggregator_state.outbox o
    WHERE o.state = 'pending' AND o.topic >= t.topic AND o.topic <= t.topic
      AND o.id <> ALL ($2::int8[])
    ORDER BY o.topic, o.id LIMIT $4::int8) AS found
  WHERE t.topic <> ALL ($3::text[])
  ORDER BY found.id LIMIT $4::int8)
SELECT id, topic, key, value, headers, traceparent, (extract(epoch FROM created_at) * 1e6)::int8,
  least(fact_at, created_at) < now() - $1::int8 * interval '1 hour'
FROM (
    SELECT *, sum(octet_length(value)) OVER (ORDER BY id) - octet_length(value) AS before
    FROM aggregator_state.outbox
    WHERE id = ANY (ARRAY(SELECT id FROM first))) AS summed
WHERE before < $5::int8
ORDER BY id

-- name: note
-- `sent` overwrites what an operator made of the row in the meantime. OFFSET keeps now() out of the
-- CASE, where Citus allows no such function. Locks the rows in order of their ids, as an operator's
-- statements do (stored/messages.c): in another order each could wait for the other.
UPDATE aggregator_state.outbox o
SET state = r.state, error = r.error, done_at = CASE WHEN r.state <> 'pending' THEN r.at END,
  attempts = o.attempts + (r.state IN ('pending', 'failed'))::int
FROM (
  SELECT *, now() AS at FROM unnest($1::int8[], $2::text[], $3::text[]) AS u (id, state, error)
  OFFSET 0) AS r
WHERE o.id = r.id AND (o.state = 'pending' OR r.state = 'sent')
  AND o.id = ANY (ARRAY(
    SELECT id FROM aggregator_state.outbox WHERE id = ANY ($1::int8[]) ORDER BY id FOR UPDATE))

-- name: measure
SELECT
  (SELECT count(*) FROM (
    SELECT 1 FROM aggregator_state.outbox WHERE state = 'pending' LIMIT $1::int8) p),
  (SELECT count(*) FROM (
    SELECT 1 FROM aggregator_state.outbox WHERE state = 'failed' LIMIT $1::int8) f),
  coalesce((
    SELECT extract(epoch FROM clock_timestamp() - created_at)
    FROM aggregator_state.outbox
    WHERE state = 'pending'
    ORDER BY id LIMIT 1), 0)

-- name: prune
-- A row that was done two horizons ago was stored before: its fact is past both. Above keep_rows facts
-- past one horizon leave: of rows that were done a horizon ago, and of those that were settled since.
-- Postgres' statistics count the rows of the table on the node that has them (tableoid). Leaves rows that
-- an operator retries: those that his statement has locked, and those that are pending since.
WITH surplus AS (
  SELECT least($2::int8, greatest(0, rows - $3::int8)) AS rows
  FROM (
    SELECT coalesce((
      SELECT pg_stat_get_live_tuples(tableoid) FROM aggregator_state.outbox ORDER BY id DESC LIMIT 1), 0) AS rows) AS table_
)
DELETE FROM aggregator_state.outbox
WHERE id = ANY (ARRAY(
  SELECT id
  FROM aggregator_state.outbox
  WHERE id = ANY (
    ARRAY(
      SELECT id
      FROM aggregator_state.outbox
      WHERE state <> 'pending' AND done_at < now() - 2 * $1::int8 * interval '1 hour'
      ORDER BY done_at LIMIT $2::int8)
    || ARRAY(
      SELECT id
      FROM (
        (SELECT id, least(fact_at, created_at) AS since
          FROM aggregator_state.outbox
          WHERE state <> 'pending' AND done_at < now() - $1::int8 * interval '1 hour'
          ORDER BY done_at LIMIT (SELECT rows FROM surplus))
        UNION ALL
        (SELECT id, least(fact_at, created_at)
          FROM aggregator_state.outbox
          WHERE state = 'settled' AND least(fact_at, created_at) < now() - $1::int8 * interval '1 hour'
          ORDER BY least(fact_at, created_at) LIMIT (SELECT rows FROM surplus))) AS past
      ORDER BY since LIMIT (SELECT rows FROM surplus)))
    AND state <> 'pending'
  FOR UPDATE SKIP LOCKED))
