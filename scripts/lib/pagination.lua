--- Parses limit, offset and cursor of a list request.

local M = {}

--- The requested part of a list.
---@class lib.pagination.Page
---@field limit integer
---@field offset integer
---@field after_created_at? string from the cursor: the last batch of the previous page
---@field after_batch_id? string

local DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET = 20, 100, 2147483647

local function whole(text, default, min, max)
  if text == nil then
    return default
  end
  local number = text:match("^%d+$") and #text <= 10 and tonumber(text)
  if number and number >= min and number <= max then
    return number
  end
  return nil
end

---@type table<number, integer>
local DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

-- Whether Postgres accepts the text as a timestamp. Any other text makes the query fail.
local function is_time(text)
  local pattern = "^(%d%d%d%d)%-(%d%d)%-(%d%d)T(%d%d):(%d%d):(%d%d)%.%d%d%d%d%d%d$"
  local year, month, day, hour, minute, second = text:match(pattern)
  if not year then
    return false
  end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
  local days = month == 2 and leap and 29 or DAYS[month]
  return year >= 1 and days ~= nil and day >= 1 and day <= days and tonumber(hour) <= 23
    and tonumber(minute) <= 59 and tonumber(second) <= 59
end

--- Parses the query parameters of a page.
---@param query table<string, string?> of the request
---@return lib.pagination.Page? page nil: a parameter is invalid
---@return string? problem the message for the client
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
    page.after_created_at, page.after_batch_id = query.cursor:match("^([^|]*)|(.+)$")
    if not page.after_created_at or not is_time(page.after_created_at) then
      return nil, "cursor is invalid: use next_cursor of the previous page"
    end
  end
  return page
end

return M
