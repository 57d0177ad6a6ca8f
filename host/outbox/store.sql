-- name: store
-- The first message of an identity is stored. Others are compared with the stored row, or with the
-- first; a row that a concurrent transaction stores is not visible, and not compared. Where all messages
-- were stored there is nothing to compare. The ids are in the order of the messages. Rows are inserted
-- in the order of their identities: each waits for a transaction that stores the same identity, and in
-- another order two would wait for each other.
WITH given AS (
  SELECT identity COLLATE "C" AS identity, topic COLLATE "C" AS topic, key COLLATE "C" AS key,
    value, coalesce(headers, '{}')::jsonb AS headers, fact_at, source, about, scripts, traceparent,
    n
  FROM unnest(
      $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::timestamptz[], $8::text[],
      $9::text[], $10::text[], $11::text[])
      WITH ORDINALITY AS g (
        identity, topic, key, value, headers, fact_at, source, about, scripts, traceparent, n)),
firsts AS (
  SELECT DISTINCT ON (identity) *, fact_at < now() - $1::int8 * interval '1 hour' AS old
  FROM given
  ORDER BY identity, n),
placed AS (SELECT *, row_number() OVER (ORDER BY n) AS place FROM firsts),
ids AS MATERIALIZED (
  SELECT id, row_number() OVER (ORDER BY id) AS place
  FROM aggregator_state.outbox_ids((SELECT count(*) FROM firsts)) AS id),
stored AS (
  INSERT INTO aggregator_state.outbox (
      id, identity, topic, key, value, headers, fact_at, source, about, scripts, traceparent, state,
      done_at, error)
  OVERRIDING SYSTEM VALUE
  SELECT id, identity, topic, key, value, headers, fact_at, source, about, scripts, traceparent,
    CASE WHEN old THEN 'settled' ELSE 'pending' END, CASE WHEN old THEN now() END,
    CASE WHEN old THEN 'older than the horizon when it was stored' END
  FROM placed JOIN ids USING (place)
  ORDER BY identity
  ON CONFLICT (identity) DO NOTHING
  RETURNING state),
conflicts AS (
  SELECT g.identity, g.source, g.topic, g.key
  FROM given g
  LEFT JOIN aggregator_state.outbox o ON o.identity = g.identity
  JOIN firsts f ON f.identity = g.identity
  WHERE (SELECT count(*) FROM stored) < (SELECT count(*) FROM given)
    AND (g.topic, g.key, g.value, g.headers) IS DISTINCT FROM CASE WHEN o.id IS NULL
      THEN (f.topic, f.key, f.value, f.headers)
      ELSE (o.topic, o.key, o.value, o.headers) END)
SELECT (SELECT count(*) FROM stored WHERE state = 'pending') AS outbox_pending,
  (SELECT count(*) FROM stored WHERE state = 'settled'),
  (SELECT count(*) FROM given) - (SELECT count(*) FROM stored), (SELECT count(*) FROM conflicts),
  one.*
FROM (SELECT 1) AS always
LEFT JOIN (SELECT * FROM conflicts ORDER BY identity LIMIT 1) AS one ON true
