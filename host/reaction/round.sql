-- name: take
-- The keys come from a CTE of their own, so that only they are locked. The class of the advisory
-- locks is the oid of the marks' table, so that a shadow schema has its own locks.
WITH oldest AS MATERIALIZED (
  SELECT key, attempts
  FROM aggregator_state.reaction_marks
  WHERE reaction = $1 AND (retry_at IS NULL OR retry_at <= now())
  ORDER BY id LIMIT $2::int8),
keys AS MATERIALIZED (SELECT key, max(attempts) AS attempts FROM oldest GROUP BY key)
SELECT key, attempts
FROM keys
WHERE pg_try_advisory_xact_lock(
    'aggregator_state.reaction_marks'::regclass::oid::int4, hashtext($1 || ' ' || key))
ORDER BY key COLLATE "C"

-- name: delete
WITH gone AS (
  DELETE FROM aggregator_state.reaction_marks
  WHERE reaction = $1 AND key = ANY($2::text[])
  RETURNING id, key, traceparent, attempts, marked_at)
SELECT key, max(attempts),
  (array_agg(traceparent ORDER BY id DESC) FILTER (WHERE traceparent IS NOT NULL))[1],
  min(marked_at)
FROM gone
GROUP BY key
ORDER BY key COLLATE "C"

-- name: park_failed
-- The rest doubles with each attempt, up to 600 s.
INSERT INTO aggregator_state.reaction_marks (
    reaction, key, traceparent, attempts, error, marked_at, retry_at)
SELECT $1, f.key, f.traceparent, f.attempts + 1, f.error, f.marked_at::timestamptz,
  now() + least(power(2, f.attempts), 600) * interval '1 second'
FROM unnest(
    $2::text[], $3::text[], $4::int4[], $5::text[], $6::text[])
    AS f (key, traceparent, attempts, error, marked_at)

-- name: park_oldest
-- The times are made apart: Citus adds no interval of a column to now(). Skips locked marks, as `due` does.
WITH later AS MATERIALIZED (
  SELECT n AS attempts, now() + least(power(2, n), 600) * interval '1 second' AS at
  FROM generate_series(0, 10) AS n)
UPDATE aggregator_state.reaction_marks m
SET attempts = m.attempts + 1, error = $2, retry_at = l.at
FROM later l
WHERE l.attempts = least(m.attempts, 10)
  AND m.id = ANY (ARRAY(
    SELECT id
    FROM aggregator_state.reaction_marks
    WHERE reaction = $1 AND key = (
      SELECT key
      FROM aggregator_state.reaction_marks
      WHERE reaction = $1 AND (retry_at IS NULL OR retry_at <= now())
      ORDER BY id LIMIT 1)
    FOR UPDATE SKIP LOCKED))

-- name: due
-- Skips marks that a round of another process has locked: two statements that lock the same marks in
-- another order would wait for each other.
UPDATE aggregator_state.reaction_marks
SET retry_at = NULL
WHERE id = ANY (ARRAY(
    SELECT id
    FROM aggregator_state.reaction_marks
    WHERE retry_at IS NOT NULL AND reaction = ANY($1::text[])
    FOR UPDATE SKIP LOCKED))

-- name: look
SELECT n
FROM unnest($1::text[]) WITH ORDINALITY AS r (reaction, n)
WHERE EXISTS (
    SELECT 1
    FROM aggregator_state.reaction_marks m
    WHERE m.reaction = r.reaction AND (m.retry_at IS NULL OR m.retry_at <= now()))

-- name: measure
SELECT (SELECT count(*) FROM (SELECT 1 FROM aggregator_state.reaction_marks LIMIT $1::int8) AS m),
  coalesce(extract(epoch FROM now() -
    (SELECT marked_at FROM aggregator_state.reaction_marks ORDER BY id LIMIT 1)), 0)
