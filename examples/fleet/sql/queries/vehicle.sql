-- One vehicle; no row if no event has named it.
SELECT vehicle_answer(vehicle_id)::text AS body, ARRAY[vehicle_id] AS tags
FROM vehicles WHERE vehicle_id = :vehicle_id::text
