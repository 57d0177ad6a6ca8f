--- GET /v1/depots/{depot_id}/vehicles
local failures = require("lib.failures")
local pg = require("pg")

---@type Route
return {
  method = "GET",
  path = "/v1/depots/{depot_id}/vehicles",
  endpoint = "list_depot_vehicles",
  auth = true,
  cache = { key = "depot:{depot_id}", type = "depot" },
  live = true, -- board.html reads the stream
  handle = function(request)
    local rows, failure = pg.query("depot_vehicles", { depot_id = request.params.depot_id })
    if not rows then
      return failures.response(failure, "Invalid depot ID")
    end
    return { status = 200, body = rows[1].body, tags = rows[1].tags }
  end,
}
