-- name: announce
-- Times are microseconds since 1970. An instance that is silent for a day is deleted.
WITH forgotten AS (
  DELETE FROM aggregator_state.instances
  WHERE last_seen < now() - interval '1 day' AND (consumer_group, instance) <> ($1::text, $2::text))
INSERT INTO aggregator_state.instances (
    consumer_group, instance, host, started_at, last_seen, generation, scripts, since)
VALUES (
    $1::text, $2::text, $3::text, 'epoch'::timestamptz + $4::int8 * interval '1 us', now(),
    $5::int8, $6::text, 'epoch'::timestamptz + $7::int8 * interval '1 us')
ON CONFLICT (consumer_group, instance) DO UPDATE SET host = excluded.host,
  started_at = excluded.started_at, last_seen = excluded.last_seen, stopped_at = NULL,
  generation = excluded.generation, scripts = excluded.scripts, since = excluded.since

-- name: stop
UPDATE aggregator_state.instances
SET last_seen = now(), stopped_at = now()
WHERE consumer_group = $1::text AND instance = $2::text
  AND started_at = 'epoch'::timestamptz + $3::int8 * interval '1 us'

-- name: before
-- In this order: this instance, this host, the group, the scripts that handled the group's last
-- event.
SELECT scripts, instance, (extract(epoch FROM seen) * 1e6)::int8::text
FROM (
    SELECT scripts, instance, last_seen AS seen,
      1 + (host = $3::text)::int + 2 * (instance = $2::text)::int AS nearness
    FROM aggregator_state.instances
    WHERE consumer_group = $1::text
      AND started_at < 'epoch'::timestamptz + $4::int8 * interval '1 us'
    UNION ALL
    SELECT scripts, NULL, last_time, 0
    FROM aggregator_state.consumer_offsets
    WHERE consumer_group = $1::text AND scripts IS NOT NULL) AS known
ORDER BY nearness DESC, seen DESC NULLS LAST LIMIT 1
