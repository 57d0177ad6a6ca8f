-- What responses and messages are made of.

-- RFC 3339, in UTC, with microseconds.
CREATE OR REPLACE FUNCTION wire_time(at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

CREATE OR REPLACE FUNCTION unix_us(at timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT (extract(epoch FROM at) * 1000000)::bigint
$$;

-- The position of a vehicle; no row if no event has named one.
CREATE OR REPLACE FUNCTION vehicle_position(wanted text)
RETURNS TABLE (latitude double precision, longitude double precision, speed_kmh double precision,
  heading_deg integer, at text) LANGUAGE sql STABLE AS $$
  SELECT v.latitude, v.longitude, v.speed_kmh, v.heading_deg, wire_time(v.position_at)
  FROM vehicles v WHERE v.vehicle_id = wanted AND v.position_at IS NOT NULL
$$;

-- The newest trip of a vehicle that has started and not ended; no row if there is none.
CREATE OR REPLACE FUNCTION vehicle_trip(wanted text)
RETURNS TABLE (trip_id uuid, started_at text) LANGUAGE sql STABLE AS $$
  SELECT t.trip_id, wire_time(t.start_at)
  FROM trips t WHERE t.vehicle_id = wanted AND t.finish_at IS NULL
  ORDER BY t.start_at DESC, t.trip_id DESC LIMIT 1
$$;

-- One vehicle; NULL if no event has named it. What no event has said is null.
CREATE OR REPLACE FUNCTION vehicle_answer(wanted text) RETURNS json LANGUAGE sql STABLE AS $$
  SELECT row_to_json(answer) FROM (
    SELECT v.vehicle_id, v.plate, v.model, v.depot_id, v.state,
      wire_time(v.state_at) AS state_since, v.odometer_km,
      coalesce(v.driver_ids, '{}') AS driver_ids,
      (SELECT row_to_json(p) FROM vehicle_position(wanted) p) AS position,
      (SELECT row_to_json(t) FROM vehicle_trip(wanted) t) AS trip
    FROM vehicles v WHERE v.vehicle_id = wanted
  ) answer
$$;
