--- GET /v1/items/{item_id}
local failures = require("lib.failures")
local pg = require("pg")

---@type Route
return {
  method = "GET",
  path = "/v1/items/{item_id}",
  endpoint = "get_item", -- its name in metrics
  auth = true,
  cache = { key = "item:{item_id}" },
  handle = function(request)
    local rows, failure = pg.query("item", { item_id = request.params.item_id })
    if not rows then
      return failures.response(failure, "Invalid item ID")
    end
    if not rows[1] then
      -- the first event of this item drops the cached 404
      return { status = 404, error = "Item not found", tags = { request.params.item_id } }
    end
    return { status = 200, body = rows[1].body, tags = { request.params.item_id } }
  end,
}
