-- The event of a registration: a repeated request of a caller gets the id and the time of the first one.
-- `is_same` is false if the key was used for another vehicle. Requests older than a day are forgotten.
WITH forgotten AS (
  DELETE FROM registration_requests
  WHERE requested_at < now() - interval '1 day'
    AND (caller, idempotency_key) <> (:caller::text, :idempotency_key::text)
)
INSERT INTO registration_requests AS known (caller, idempotency_key, vehicle)
VALUES (:caller::text, :idempotency_key::text, :vehicle::jsonb)
ON CONFLICT (caller, idempotency_key) DO UPDATE SET idempotency_key = excluded.idempotency_key
RETURNING event_id, wire_time(requested_at) AS requested_at,
  known.vehicle = :vehicle::jsonb AS is_same
