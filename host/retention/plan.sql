-- name: next
SELECT (extract(epoch FROM greatest(
    (SELECT horizon FROM aggregator_state.retention WHERE root = $1::text),
    date_trunc('day', now(), 'UTC') - make_interval(hours => 24 * $2::int))) * 1000000)::int8
