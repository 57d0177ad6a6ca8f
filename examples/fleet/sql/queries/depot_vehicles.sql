-- The vehicles of a depot, in the order of their ids; an unknown depot has none. The response depends
-- on each of them, and on the vehicles that will join the depot (scripts/lib/tags.lua).
SELECT row_to_json(response)::text AS body, tags
FROM (
  SELECT :depot_id::text AS depot_id,
    coalesce(json_agg(vehicle_answer(vehicle_id) ORDER BY vehicle_id), '[]') AS vehicles
  FROM vehicles WHERE depot_id = :depot_id::text
) response
CROSS JOIN (
  SELECT array_append(array_agg(vehicle_id), 'depot:' || :depot_id::text) AS tags
  FROM vehicles WHERE depot_id = :depot_id::text
) depends
