-- A page of the trips of a vehicle, newest first; those before the trip :after, if it is not null.
-- `next` is that parameter for the next page; null: this page is the last.
WITH page AS (
  SELECT t.trip_id, t.driver_id, t.start_at, wire_time(t.start_at) AS started_at,
    wire_time(t.finish_at) AS ended_at, t.distance_km, k.top_speed_kmh
  FROM trips t LEFT JOIN trip_tracks k ON k.trip_id = t.trip_id
  WHERE t.vehicle_id = :vehicle_id::text
    AND (:after::uuid IS NULL OR (t.start_at, t.trip_id) <
      (SELECT a.start_at, a.trip_id FROM trips a WHERE a.trip_id = :after::uuid))
  ORDER BY t.start_at DESC, t.trip_id DESC
  LIMIT :limit::integer
), listed AS (
  SELECT trip_id, driver_id, started_at, ended_at, distance_km, top_speed_kmh FROM page
)
SELECT row_to_json(response)::text AS body
FROM (
  SELECT (SELECT coalesce(json_agg(row_to_json(listed) ORDER BY started_at DESC, trip_id DESC), '[]')
      FROM listed) AS trips,
    (SELECT CASE WHEN count(*) = :limit::integer
      THEN (array_agg(trip_id ORDER BY start_at, trip_id))[1] END FROM page) AS next
) response
