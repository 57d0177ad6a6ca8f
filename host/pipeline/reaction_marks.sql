-- name: marks
-- unnest fills the shorter array with NULL: the traceparents may be empty.
INSERT INTO aggregator_state.reaction_marks (reaction, key, traceparent)
SELECT *
FROM unnest($1::text[], $2::text[], $3::text[])
