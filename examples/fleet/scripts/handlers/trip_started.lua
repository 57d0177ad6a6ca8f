--- A trip of a vehicle started.
local fields = require("lib.fields")

---@type handlers.trip_started
return {
  topics = { "fleet.trip.started.v1" },
  fields = {
    trip_id = { "data.trip_id", type = "uuid" },
    vehicle_id = fields.id("data.vehicle_id"),
    driver_id = fields.id("data.driver_id", { optional = true }),
  },
  handle = function(event, view)
    view.trips:merge(event.trip_id, "start", {
      vehicle_id = event.vehicle_id,
      driver_id = event.driver_id,
    })
    view.vehicles:merge(event.vehicle_id, "drivers", { driver_ids = event.driver_id })
    view:touch(event.vehicle_id) -- its response names the trip, also of a trip without a driver
  end,
}
