--- A vehicle drives, idles with a running engine, is parked, or cannot be reached.
local fields = require("lib.fields")

---@type handlers.vehicle_state_changed
return {
  topics = { "fleet.vehicle.state.changed.v1" },
  fields = {
    vehicle_id = fields.id("data.vehicle_id"),
    state = { "data.state", enum = { "driving", "idle", "parked", "offline" } },
    odometer_km = fields.number("data.odometer_km", 0, 5000000),
  },
  handle = function(event, view)
    view.vehicles:merge(event.vehicle_id, "state", {
      state = event.state,
      odometer_km = event.odometer_km,
    })
  end,
}
