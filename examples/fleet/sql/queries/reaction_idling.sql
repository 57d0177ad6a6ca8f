-- The vehicles of :keys that have idled for ten minutes by the time of their newest position. An idling
-- vehicle reports positions. The clock of the database decides nothing: a replay gives the same facts.
SELECT vehicle_id AS key, wire_time(state_at) AS idle_since,
  wire_time(state_at + interval '10 minutes') AS at,
  unix_us(state_at + interval '10 minutes') AS at_us
FROM vehicles
WHERE vehicle_id = ANY(:keys::text[]) AND state = 'idle'
  AND position_at >= state_at + interval '10 minutes'
