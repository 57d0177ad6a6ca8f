-- name: insert
INSERT INTO outside_events (topic, partition, "offset", event_id, at, handler, rests_on)
SELECT *
FROM unnest(
    $1::text[], $2::int4[], $3::int8[], $4::uuid[], $5::timestamptz[], $6::text[], $7::text[])
ON CONFLICT DO NOTHING
