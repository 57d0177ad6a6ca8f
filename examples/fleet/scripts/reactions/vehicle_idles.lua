--- Publishes that a vehicle has idled for ten minutes, once for each time that it idles.
local cloud_events = require("lib.cloud_events")

---@type reactions.vehicle_idles
return {
  follows = { vehicles = "vehicle_id" },
  query = "reaction_idling",
  publish = function(row)
    return cloud_events.message({
      topic = "fleet.vehicle.idles.v1",
      key = row.key,
      time = row.at,
      at_us = row.at_us,
      data = { vehicle_id = row.key, idle_since = row.idle_since },
    })
  end,
}
