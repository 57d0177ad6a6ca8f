-- name: message
SELECT id::text, source, about, key
FROM aggregator_state.outbox
WHERE id::text = $1::text OR identity IN ($1::text, lower($1::text))
ORDER BY identity = $1::text DESC LIMIT 1

-- name: marks
SELECT w.n, to_char(min(m.marked_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  max(m.attempts)::text,
  (array_agg(m.error ORDER BY m.id DESC) FILTER (WHERE m.error IS NOT NULL))[1]
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w (reaction, key, n)
JOIN aggregator_state.reaction_marks m ON m.reaction = w.reaction AND m.key = w.key
GROUP BY w.n

-- name: published
-- The messages of makers in the outbox, and what the present scripts make of the same.
-- $1 … $4: makers, what each used, what is true today of a message that it does not make now, and
-- whether its messages are listed. $5 … $12: the messages that the present scripts make. $13: the id
-- of the message that the question names. $14: what a message was made of, by any maker.
-- One row: the messages as elements of a JSON list, and the one of $13.
WITH maker AS (
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
    WITH ORDINALITY AS w (source, about, unmade, listed, n)),
made AS (
  SELECT identity COLLATE "C" AS identity, topic COLLATE "C" AS topic, key COLLATE "C" AS key, value,
    coalesce(headers, '{}')::jsonb AS headers, source, about, scripts, n
  FROM unnest($5::text[], $6::text[], $7::text[], $8::bytea[], $9::text[], $10::text[],
      $11::text[], $12::text[])
    WITH ORDINALITY AS m (identity, topic, key, value, headers, source, about, scripts, n)),
judged AS (
  SELECT o.*, m.n, m.topic AS new_topic, m.key AS new_key, m.identity AS new_identity,
    m.source AS new_source, m.about AS new_about, m.scripts AS new_scripts, m.value AS new_value,
    CASE WHEN o.id IS NULL THEN 'new'
      WHEN m.n IS NULL THEN coalesce((SELECT w.unmade FROM maker w
        WHERE w.source = o.source AND w.about = o.about AND w.unmade IS NOT NULL
        ORDER BY w.n LIMIT 1), 'unknown')
      WHEN (o.topic, o.key, o.value, o.headers) IS NOT DISTINCT FROM
        (m.topic, m.key, m.value, m.headers) THEN 'the same'
      ELSE 'other content' END AS today
  FROM aggregator_state.outbox o FULL JOIN made m ON m.identity = o.identity
  WHERE m.n IS NOT NULL OR o.id::text = $13::text OR o.about = $14::text OR (o.source, o.about) IN
    (SELECT w.source, w.about FROM maker w WHERE w.listed IS NOT NULL)
  ORDER BY o.id IS NULL DESC, o.id DESC LIMIT 1000),
message AS (
  SELECT id, n, json_build_object('id', id::text, 'state', state,
    'topic', coalesce(topic, new_topic), 'key', CASE WHEN id IS NULL THEN new_key ELSE key END,
    'identity', coalesce(identity, new_identity),
    'source', CASE WHEN id IS NULL THEN new_source ELSE source END,
    'about', CASE WHEN id IS NULL THEN new_about ELSE about END,
    'scripts', CASE WHEN id IS NULL THEN new_scripts ELSE scripts END,
    'fact_at', to_char(fact_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'created_at', to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'done_at', to_char(done_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'traceparent', traceparent, 'error', error, 'today', today,
    'value_today', CASE WHEN today IN ('new', 'other content')
      THEN convert_from(new_value, 'UTF8') END)::text AS json
  FROM judged)
SELECT string_agg(json, ',' ORDER BY id DESC NULLS LAST, n),
  max(json) FILTER (WHERE id::text = $13::text)
FROM message
