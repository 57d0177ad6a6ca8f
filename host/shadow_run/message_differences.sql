-- name: pair
-- Every identity once. `kind` is NULL where both say the same.
CREATE UNLOGGED TABLE aggregator_shadow_run_new.message_pairs AS
SELECT coalesce(n.source, o.source) AS source, coalesce(n.topic, o.topic) AS topic,
  coalesce(n.key, o.key) AS key, o.id AS old_id, n.id AS new_id,
  CASE WHEN n.id IS NULL THEN 'old' WHEN o.id IS NULL THEN 'new'
    WHEN (o.topic, o.key, o.value, o.headers, o.fact_at) IS DISTINCT FROM
      (n.topic, n.key, n.value, n.headers, n.fact_at) THEN 'both' END AS kind
FROM aggregator_shadow_run_old.outbox o
FULL JOIN aggregator_shadow_run_new.outbox n USING (identity)

-- name: sources
-- For each source: its messages, those of one side alone, and the fields that differ; with three
-- examples of each, whose values are cut at 500 characters.
WITH RECURSIVE
-- An identity often names all that its message says, so that a change gives another one: a message
-- of one side alone stands beside that of the other with its source, topic and key.
alone AS (
  SELECT *, row_number() OVER (
    PARTITION BY source, topic, key, kind ORDER BY coalesce(old_id, new_id)) AS nth
  FROM aggregator_shadow_run_new.message_pairs
  WHERE kind IN ('old', 'new')),
beside AS (
  SELECT source, old_id, new_id
  FROM aggregator_shadow_run_new.message_pairs
  WHERE kind = 'both'
  UNION ALL
  SELECT o.source, o.old_id, n.new_id
  FROM alone o
  JOIN alone n ON o.kind = 'old' AND n.kind = 'new'
    AND (o.source, o.topic, o.nth) = (n.source, n.topic, n.nth) AND o.key IS NOT DISTINCT FROM n.key
  LIMIT 10000),
-- What is no object, with the names of the objects around it: value.data.status. A NUL, which JSON
-- may escape, is nothing that Postgres can read.
leaves AS (
  SELECT b.source, b.old_id, b.new_id, new.topic, new.key, p.side, p.path, p.value
  FROM beside b
  JOIN aggregator_shadow_run_old.outbox old ON old.id = b.old_id
  JOIN aggregator_shadow_run_new.outbox new ON new.id = b.new_id
  CROSS JOIN LATERAL (VALUES
      ('old', 'topic', to_json(old.topic)), ('old', 'key', to_json(old.key)),
      ('old', 'identity', to_json(old.identity)), ('old', 'at', to_json(old.fact_at)),
      ('old', 'headers', old.headers::json),
      ('old', 'value',
       CASE WHEN strpos(convert_from(old.value, 'UTF8'), '\u0000') > 0
         THEN to_json(convert_from(old.value, 'UTF8'))
         ELSE convert_from(old.value, 'UTF8')::json END),
      ('new', 'topic', to_json(new.topic)), ('new', 'key', to_json(new.key)),
      ('new', 'identity', to_json(new.identity)), ('new', 'at', to_json(new.fact_at)),
      ('new', 'headers', new.headers::json),
      ('new', 'value',
       CASE WHEN strpos(convert_from(new.value, 'UTF8'), '\u0000') > 0
         THEN to_json(convert_from(new.value, 'UTF8'))
         ELSE convert_from(new.value, 'UTF8')::json END)) AS p (side, path, value)
  UNION ALL
  SELECT l.source, l.old_id, l.new_id, l.topic, l.key, l.side, l.path || '.' || m.key, m.value
  FROM leaves l
  CROSS JOIN LATERAL json_each(
    CASE WHEN json_typeof(l.value) = 'object' THEN l.value ELSE '{}'::json END) m),
differing AS (
  SELECT source, old_id, topic, key, path, max(value::text) FILTER (WHERE side = 'old') AS old,
    max(value::text) FILTER (WHERE side = 'new') AS new
  FROM leaves
  WHERE json_typeof(value) <> 'object' OR NOT EXISTS (
    SELECT FROM json_object_keys(
      CASE WHEN json_typeof(value) = 'object' THEN value ELSE '{}'::json END))
  GROUP BY source, old_id, new_id, topic, key, path),
placed AS (
  SELECT *, row_number() OVER (PARTITION BY source, path ORDER BY old_id) AS nth
  FROM differing
  WHERE old IS DISTINCT FROM new),
fields AS (
  SELECT source, path, count(*) AS messages,
    json_build_object('field', path, 'messages', count(*), 'examples', json_agg(json_build_object(
      'topic', topic, 'key', key, 'old', left(old, 500), 'new', left(new, 500)) ORDER BY nth)
      FILTER (WHERE nth <= 3)) AS field
  FROM placed
  GROUP BY source, path),
-- Three messages of one side alone, for each source and side.
examples AS (
  SELECT source, kind, json_agg(message ORDER BY id) AS messages
  FROM (
    SELECT p.source, p.kind, m.id, row_number() OVER (PARTITION BY p.source, p.kind ORDER BY m.id) AS nth,
      json_build_object('topic', m.topic, 'key', m.key, 'identity', m.identity,
        'value', left(convert_from(m.value, 'UTF8'), 500)) AS message
    FROM aggregator_shadow_run_new.message_pairs p
    JOIN (
      SELECT 'old' AS side, * FROM aggregator_shadow_run_old.outbox
      UNION ALL
      SELECT 'new' AS side, * FROM aggregator_shadow_run_new.outbox) m
      ON m.side = p.kind AND m.id = coalesce(p.old_id, p.new_id)) numbered
  WHERE nth <= 3
  GROUP BY source, kind),
sources AS (
  SELECT p.source, count(*) AS messages, count(p.kind) AS differing,
    json_build_object('source', p.source, 'messages', count(*),
      'differing', count(*) FILTER (WHERE p.kind = 'both'),
      'only_old', count(*) FILTER (WHERE p.kind = 'old'),
      'only_old_messages', coalesce((
        SELECT e.messages FROM examples e WHERE (e.source, e.kind) = (p.source, 'old')), '[]'),
      'only_new', count(*) FILTER (WHERE p.kind = 'new'),
      'only_new_messages', coalesce((
        SELECT e.messages FROM examples e WHERE (e.source, e.kind) = (p.source, 'new')), '[]'),
      'fields', (
        SELECT coalesce(json_agg(f.field ORDER BY f.messages DESC, f.path COLLATE "C"), '[]')
        FROM fields f
        WHERE f.source = p.source)) AS source_json
  FROM aggregator_shadow_run_new.message_pairs p
  GROUP BY p.source)
SELECT coalesce(sum(messages), 0)::int8, coalesce(sum(differing), 0)::int8,
  string_agg(source_json::text, ',' ORDER BY source COLLATE "C")
FROM sources

-- name: failures
WITH
old_side AS (
  SELECT reaction, key, max(error) AS old FROM aggregator_shadow_run_old.reaction_marks
  WHERE error IS NOT NULL GROUP BY reaction, key),
new_side AS (
  SELECT reaction, key, max(error) AS new FROM aggregator_shadow_run_new.reaction_marks
  WHERE error IS NOT NULL GROUP BY reaction, key),
failed AS (
  SELECT reaction, key, old, new FROM old_side FULL JOIN new_side USING (reaction, key))
SELECT count(*) FILTER (WHERE old IS NULL), count(*) FILTER (WHERE new IS NULL),
  count(*) FILTER (WHERE old IS NOT NULL AND new IS NOT NULL),
  (SELECT string_agg(row_to_json(shown)::text, ',')
   FROM (
     SELECT * FROM failed
     WHERE old IS NULL OR new IS NULL
     ORDER BY old IS NULL DESC, reaction, key LIMIT 10) shown)
FROM failed
