-- The view: what scripts/view.lua declares.

CREATE TYPE vehicle_state AS ENUM ('driving', 'idle', 'parked', 'offline');

CREATE TABLE vehicles (
  vehicle_id text PRIMARY KEY,
  registration_at timestamptz,
  registration_event_id uuid,
  plate text,
  model text,
  depot_id text,
  state_at timestamptz,
  state_event_id uuid,
  state vehicle_state,
  odometer_km double precision,
  position_at timestamptz,
  position_event_id uuid,
  latitude double precision,
  longitude double precision,
  speed_kmh double precision,
  heading_deg integer,
  driver_ids text[]
) WITH (fillfactor = 50); -- a row is updated in its page, at each position
CREATE INDEX vehicles_of_depot ON vehicles (depot_id);

CREATE TABLE trips (
  trip_id uuid PRIMARY KEY,
  start_at timestamptz,
  start_event_id uuid,
  vehicle_id text,
  driver_id text,
  finish_at timestamptz,
  finish_event_id uuid,
  distance_km double precision
);
CREATE INDEX trips_of_vehicle ON trips (vehicle_id, start_at DESC, trip_id DESC);

CREATE TABLE trip_tracks (
  trip_id uuid PRIMARY KEY,
  top_speed_kmh double precision
) WITH (fillfactor = 50);

-- A table of the service's own: the route register_vehicle alone writes it.
CREATE TABLE registration_requests (
  idempotency_key text PRIMARY KEY,
  vehicle jsonb NOT NULL,
  event_id uuid NOT NULL DEFAULT gen_random_uuid(),
  requested_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX registration_requests_by_time ON registration_requests (requested_at);
