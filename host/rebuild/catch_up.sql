-- name: offsets
-- A replay lowers next_offset; the records below fresh_offset were handled before it.
SELECT topic, partition, greatest(next_offset, fresh_offset)
FROM aggregator_state.consumer_offsets
WHERE consumer_group = $1::text
