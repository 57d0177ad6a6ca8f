--- A trip of a vehicle ended. A correction of the distance is a later event with the same trip.
local fields = require("lib.fields")

---@type handlers.trip_ended
return {
  topics = { "fleet.trip.ended.v1" },
  fields = {
    trip_id = { "data.trip_id", type = "uuid" },
    vehicle_id = fields.id("data.vehicle_id"),
    distance_km = fields.number("data.distance_km", 0, 10000),
  },
  handle = function(event, view)
    view.trips:merge(event.trip_id, "finish", { distance_km = event.distance_km })
    view:touch(event.vehicle_id) -- its response names the trip under way
  end,
}
