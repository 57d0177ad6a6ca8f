--- GET /v1/vehicles/{vehicle_id}/trips?limit&after
local failures = require("lib.failures")
local json = require("json")
local pg = require("pg")

local DEFAULT_LIMIT = 20

---@type Route
return {
  method = "GET",
  path = "/v1/vehicles/{vehicle_id}/trips",
  endpoint = "list_vehicle_trips",
  auth = true,
  query = {
    limit = { type = "integer", min = 1, max = 100, optional = true },
    after = { min = 1, max = 64, optional = true }, -- `next` of the previous page
  },
  handle = function(request)
    local rows, failure = pg.query("vehicle_trips", {
      vehicle_id = request.params.vehicle_id,
      limit = request.query.limit or DEFAULT_LIMIT,
      after = request.query.after or json.null,
    })
    if not rows then
      return failures.response(failure, "Invalid vehicle ID or trip ID")
    end
    return { status = 200, body = rows[1].body }
  end,
}
