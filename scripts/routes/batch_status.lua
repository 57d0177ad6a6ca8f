--- GET /internal/v1/batches/{batch_id}/status
local failures = require("lib.failures")
local pg = require("pg")
local statuses = require("lib.statuses")

---@type Route
return {
  method = "GET",
  path = "/internal/v1/batches/{batch_id}/status",
  aliases = { "/batches/{batch_id}/status" }, -- the path in the service guide
  endpoint = "get_batch_status",
  auth = true,
  words = {
    at = "overall_status",
    known = statuses.CLIENT,
    vocabularies = statuses.VOCABULARIES,
  },
  cache = { key = "api:batch:{batch_id}", type = "batch_status" },
  live = "/internal/v1/batches/{batch_id}/events",
  handle = function(request)
    local rows, failure = pg.query("batch_status", { batch_id = request.params.batch_id })
    if not rows then
      return failures.response(failure, "Invalid batch ID")
    end
    if not rows[1] then
      -- the registration of this batch drops the cached 404
      return { status = 404, error = "Batch not found", tags = { request.params.batch_id } }
    end
    return { status = 200, body = rows[1].body, tags = rows[1].tags }
  end,
}
