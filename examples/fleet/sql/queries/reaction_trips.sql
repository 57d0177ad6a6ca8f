-- The trips of :keys whose start and end are known.
SELECT trip_id AS key, vehicle_id, driver_id, distance_km::double precision AS distance_km,
  wire_time(start_at) AS started_at, wire_time(finish_at) AS ended_at,
  unix_us(greatest(start_at, finish_at)) AS at_us
FROM trips
WHERE trip_id = ANY(:keys::uuid[]) AND start_at IS NOT NULL AND finish_at IS NOT NULL
