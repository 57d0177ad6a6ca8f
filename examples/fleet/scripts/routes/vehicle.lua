--- GET /v1/vehicles/{vehicle_id}
local failures = require("lib.failures")
local pg = require("pg")

---@type Route
return {
  method = "GET",
  path = "/v1/vehicles/{vehicle_id}",
  endpoint = "get_vehicle",
  auth = true,
  cache = { key = "vehicle:{vehicle_id}", type = "vehicle" },
  live = true,
  handle = function(request)
    local rows, failure = pg.query("vehicle", { vehicle_id = request.params.vehicle_id })
    if not rows then
      return failures.response(failure, "Invalid vehicle ID")
    end
    if not rows[1] then
      -- the first event of this vehicle drops the cached 404
      return { status = 404, error = "Vehicle not found", tags = { request.params.vehicle_id } }
    end
    return { status = 200, body = rows[1].body, tags = rows[1].tags }
  end,
}
