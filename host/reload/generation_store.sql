-- name: save
WITH generation AS (
  INSERT INTO aggregator_state.script_generations (hash)
  VALUES ($1::text)
  ON CONFLICT (hash) DO UPDATE SET last_ran_at = excluded.last_ran_at)
INSERT INTO aggregator_state.script_files (hash, name, path, source)
SELECT $1::text, name, path, source
FROM unnest($2::text[], $3::text[], $4::bytea[]) AS file (name, path, source)
ON CONFLICT DO NOTHING

-- name: prune
DELETE FROM aggregator_state.script_generations
WHERE hash IN (
    SELECT hash
    FROM aggregator_state.script_generations
    ORDER BY last_ran_at DESC, hash OFFSET 20)

-- name: load
SELECT hash, name, path, source
FROM aggregator_state.script_files
WHERE hash = (
    SELECT hash
    FROM aggregator_state.script_generations
    WHERE starts_with(hash, $1::text) AND ($1::text <> '' OR hash <> $2::text)
    ORDER BY last_ran_at DESC, hash LIMIT 1)

-- name: list
SELECT hash, (extract(epoch FROM first_ran_at) * 1e6)::int8::text,
  (extract(epoch FROM last_ran_at) * 1e6)::int8::text
FROM aggregator_state.script_generations
ORDER BY last_ran_at DESC, hash
