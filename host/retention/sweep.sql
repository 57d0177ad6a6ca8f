-- name: make
INSERT INTO aggregator_state.retention (root) VALUES ($1::text) ON CONFLICT DO NOTHING

-- name: lock
-- Locks the row of $1 against batches that hold its horizon (hold_horizon), if the horizon would move to the
-- begin of the day $2 days ago, or to $3. Days are 24 hours: the session's time zone may have a shorter one.
SELECT (extract(epoch FROM h.at) * 1000000)::int8
FROM aggregator_state.retention r, LATERAL (SELECT coalesce($3::timestamptz,
    date_trunc('day', now(), 'UTC') - make_interval(hours => 24 * $2::int)) AS at) h
WHERE r.root = $1::text AND (r.horizon IS NULL OR r.horizon < h.at)
FOR UPDATE OF r

-- name: move
-- Moves the horizon of $1 to $2. $3: span_days.
UPDATE aggregator_state.retention SET horizon = $2::timestamptz, moved_at = now(), swept_at = NULL,
  expired_before = greatest(expired_before, $2::timestamptz + make_interval(hours => 24 * $3::int))
WHERE root = $1::text

-- name: state
SELECT (extract(epoch FROM horizon) * 1000000)::int8, (extract(epoch FROM expired_before) * 1000000)::int8,
  (extract(epoch FROM swept_at) * 1000000)::int8, removed
FROM aggregator_state.retention WHERE root = $1::text AND horizon IS NOT NULL

-- name: swept
UPDATE aggregator_state.retention SET swept_at = now() WHERE root = $1::text AND swept_at IS NULL

-- name: removed
UPDATE aggregator_state.retention SET removed = removed + $2::int8 WHERE root = $1::text RETURNING removed
