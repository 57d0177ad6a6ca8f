-- The ended trips of a depot's vehicles.
SELECT row_to_json(ended)::text AS trip
FROM (
  SELECT t.trip_id, t.vehicle_id, t.driver_id, wire_time(t.start_at) AS started_at,
    wire_time(t.finish_at) AS ended_at, t.distance_km
  FROM vehicles v JOIN trips t ON t.vehicle_id = v.vehicle_id
  WHERE v.depot_id = :depot_id::text AND t.finish_at IS NOT NULL
) ended
