--- GET /internal/v1/batches/user/{user_id}?limit&offset&status&cursor
local failures = require("lib.failures")
local json = require("json")
local pagination = require("lib.pagination")
local pg = require("pg")
local statuses = require("lib.statuses")

local PREPARING = {
  kind = "unavailable",
  message = "the list is not derived yet: the next request goes on with it",
}

---@type Route
return {
  method = "GET",
  path = "/internal/v1/batches/user/{user_id}",
  endpoint = "get_user_batches",
  auth = true,
  writes = true, -- keeps what it derives: sql/functions/lists.sql
  words = {
    at = "batches.overall_status",
    known = statuses.CLIENT,
    vocabularies = statuses.VOCABULARIES,
  },
  query = {
    limit = { optional = true },
    offset = { optional = true },
    status = { optional = true },
    cursor = { optional = true },
  },
  -- the platform's key and its 300 s, which are cache.ttl_s
  cache = {
    key = "ras:user:{user_id}:batches",
    type = "user_batches",
    vary = { query = { "limit", "offset", "status", "cursor" } },
  },
  live = "/internal/v1/batches/user/{user_id}/events",
  handle = function(request)
    local page, problem = pagination.read(request.query)
    if not page then
      return { status = 400, error = problem }
    end
    local wanted, unknown = statuses.parse_filter(request.query.status)
    if unknown then
      return { status = 400, error = ("unknown status \"%s\""):format(unknown) }
    end
    local rows, failure = pg.query("user_batches", {
      user_id = request.params.user_id,
      limit = page.limit,
      offset = page.offset,
      statuses = wanted or json.null,
      after_created_at = page.after_created_at or json.null,
      after_batch_id = page.after_batch_id or json.null,
    })
    if not rows then
      return failures.response(failure, "Invalid user ID or cursor")
    end
    if not rows[1].body then
      return { unavailable = PREPARING }
    end
    return { status = 200, body = rows[1].body, tags = rows[1].tags }
  end,
}
