--- A vehicle reported where it is. A position outside of the bounds is a fault of the receiver: the
--- event is rejected.
local fields = require("lib.fields")

---@type handlers.position_reported
return {
  topics = { "fleet.position.reported.v1" },
  fields = {
    vehicle_id = fields.id("data.vehicle_id"),
    trip_id = { "data.trip_id", type = "uuid", optional = true },
    latitude = fields.number("data.latitude", -90, 90),
    longitude = fields.number("data.longitude", -180, 180),
    speed_kmh = fields.number("data.speed_kmh", 0, 250),
    heading_deg = { "data.heading_deg", type = "integer", min = 0, max = 359 },
  },
  handle = function(event, view)
    view.vehicles:merge(event.vehicle_id, "position", {
      latitude = event.latitude,
      longitude = event.longitude,
      speed_kmh = event.speed_kmh,
      heading_deg = event.heading_deg,
    })
    if event.trip_id then
      view.trip_tracks:merge(event.trip_id, "top_speed", { top_speed_kmh = event.speed_kmh })
    end
  end,
}
