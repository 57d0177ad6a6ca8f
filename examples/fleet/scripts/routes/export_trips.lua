--- GET /v1/depots/{depot_id}/trips: all ended trips of a depot's vehicles, a JSON object a line.
local pg = require("pg")

---@type Route
return {
  method = "GET",
  path = "/v1/depots/{depot_id}/trips",
  endpoint = "export_trips",
  auth = true,
  stream = true,
  handle = function(request)
    return {
      status = 200,
      headers = { ["Content-Type"] = "application/x-ndjson" },
      stream = function(write)
        return pg.each("export_trips", { depot_id = request.params.depot_id }, function(row)
          write(row.trip .. "\n")
        end)
      end,
    }
  end,
}
