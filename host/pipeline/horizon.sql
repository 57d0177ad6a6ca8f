-- name: horizons
SELECT root, (extract(epoch FROM expired_before) * 1000000)::int8::text
FROM aggregator_state.retention WHERE expired_before IS NOT NULL

-- name: hold
SELECT aggregator_state.hold_horizon(root, expected)
FROM unnest($1::text[], $2::timestamptz[]) AS a (root, expected)
ORDER BY root
