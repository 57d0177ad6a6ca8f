--- @method@ @path@
local failures = require("lib.failures")
local pg = require("pg")
@requires@
---@type Route
return {
  method = "@method@",
  path = "@path@",
  endpoint = "@endpoint@", -- its name in metrics
  auth = true,
  -- the fields of the JSON, as those of a handler: docs/SCRIPT_API.md
  body = { max_bytes = 10000, fields = { text = { "text", min = 1 } } },
  handle = function(request)
    -- the parameters of sql/queries/@name@.sql
    local rows, failure = pg.query("@name@", @arguments@)
    if not rows then
      return failures.response(failure, "Invalid ID or text")
    end
    if not rows[1] then
      return { status = 404, error = "Not found" }
    end
    @answer@
  end,
}
