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
    after = { type = "uuid", optional = true }, -- `next` of the previous page
  },
  cache = {
    key = "trips:{vehicle_id}",
    type = "trips",
    vary = { query = { "limit", "after" } },
    stale_if_error_s = 60,
  },
  handle = function(request)
    local rows, failure = pg.query("vehicle_trips", {
      vehicle_id = request.params.vehicle_id,
      limit = request.query.limit or DEFAULT_LIMIT,
      after = request.query.after or json.null,
    })
    if not rows then
      return failures.response(failure, "Invalid vehicle ID")
    end
    -- Each event of a trip, and each position, touches the vehicle.
    return { status = 200, body = rows[1].body, tags = { request.params.vehicle_id } }
  end,
}
