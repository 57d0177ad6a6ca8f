--- GET @path@
local failures = require("lib.failures")
local pg = require("pg")

---@type Route
return {
  method = "GET",
  path = "@path@",
  endpoint = "get_@name@", -- its name in metrics
  auth = true,
  -- add `cache` once the `tags` name every id that a response depends on: docs/SCRIPT_API.md
  handle = function(request)
    -- the parameters of sql/queries/@name@.sql
    local rows, failure = pg.query("@name@", @arguments@)
    if not rows then
      return failures.response(failure, "Invalid ID")
    end
    if not rows[1] then
      return { status = 404, error = "Not found", tags = @tags@ }
    end
    return { status = 200, body = rows[1].body, tags = rows[1].tags }
  end,
}
