--- Reads limit, offset and cursor of a list request.
-- @module lib.pagination

local M = {}

local DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET = 20, 100, 2147483647

local function whole(text, default, min, max)
  if text == nil then
    return default
  end
  local number = text:match("^%d+$") and tonumber(text)
  if number and number >= min and number <= max then
    return number
  end
  return nil
end

--- @tparam {string=string,...} query the request's query
-- @treturn ?{limit=number,offset=number,after_created_at=?string,after_batch_id=?string}
-- @treturn ?string what is wrong
function M.read(query)
  local limit = whole(query.limit, DEFAULT_LIMIT, 1, MAX_LIMIT)
  if not limit then
    return nil, "limit must be a whole number from 1 to " .. MAX_LIMIT
  end
  local offset = whole(query.offset, 0, 0, MAX_OFFSET)
  if not offset then
    return nil, "offset must be a whole number, 0 or more"
  end
  local page = { limit = limit, offset = offset }
  if query.cursor then
    page.after_created_at, page.after_batch_id =
      query.cursor:match("^(%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d+)|(.+)$")
    if not page.after_batch_id then
      return nil, "cursor is not one that this service gave out"
    end
  end
  return page
end

return M
