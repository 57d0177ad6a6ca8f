-- name: move
-- Moves the horizon of $1 to the begin of the day $2 days ago, or to $4. $3: span_days. Days are 24 hours: the
-- session's time zone may have a shorter one.
INSERT INTO aggregator_state.retention AS r (root, horizon, expired_before, moved_at)
SELECT $1::text, h.at, h.at + make_interval(hours => 24 * $3::int), now()
FROM (SELECT coalesce($4::timestamptz,
    date_trunc('day', now(), 'UTC') - make_interval(hours => 24 * $2::int)) AS at) h
ON CONFLICT (root) DO UPDATE SET horizon = EXCLUDED.horizon,
  expired_before = greatest(r.expired_before, EXCLUDED.expired_before), moved_at = now(), swept_at = NULL
WHERE r.horizon IS NULL OR r.horizon < EXCLUDED.horizon

-- name: state
SELECT (extract(epoch FROM horizon) * 1000000)::int8, (extract(epoch FROM expired_before) * 1000000)::int8,
  (extract(epoch FROM swept_at) * 1000000)::int8, removed
FROM aggregator_state.retention WHERE root = $1::text AND horizon IS NOT NULL

-- name: swept
UPDATE aggregator_state.retention SET swept_at = now() WHERE root = $1::text AND swept_at IS NULL

-- name: removed
UPDATE aggregator_state.retention SET removed = removed + $2::int8 WHERE root = $1::text
