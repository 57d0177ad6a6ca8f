--- A vehicle was registered, or its registration changed.
local fields = require("lib.fields")
local tags = require("lib.tags")

---@type handlers.vehicle_registered
return {
  topics = { "fleet.vehicle.registered.v1" },
  fields = {
    vehicle_id = fields.id("data.vehicle_id"),
    plate = { "data.plate", min = 1 },
    model = { "data.model", optional = true },
    depot_id = fields.id("data.depot_id"),
  },
  handle = function(event, view)
    view.vehicles:merge(event.vehicle_id, "registration", {
      plate = event.plate,
      model = event.model,
      depot_id = event.depot_id,
    })
    view:touch(tags.depot(event.depot_id))
  end,
}
