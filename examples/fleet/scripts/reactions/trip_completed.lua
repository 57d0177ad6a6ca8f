--- Publishes each trip whose start and end are known, once; again if its distance is corrected.
local cloud_events = require("lib.cloud_events")

---@type reactions.trip_completed
return {
  follows = { trips = "trip_id" },
  query = "reaction_trips",
  publish = function(row)
    return cloud_events.message({
      topic = "fleet.trip.completed.v1",
      key = row.key,
      time = row.ended_at,
      at_us = row.at_us,
      data = {
        trip_id = row.key,
        vehicle_id = row.vehicle_id,
        driver_id = row.driver_id,
        started_at = row.started_at,
        ended_at = row.ended_at,
        distance_km = row.distance_km,
      },
    })
  end,
}
