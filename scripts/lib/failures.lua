--- What a route answers where a query failed.

local M = {}

local AWAY = { unavailable = true, timeout = true }

--- Makes the answer: 503, or 400 with the message; what is a fault of ours is raised.
---@param failure Failure of pg.query
---@param bad_value string the message where the database refused a value of the request
---@return Response answer
function M.answer(failure, bad_value)
  if AWAY[failure.kind] then
    return { unavailable = failure }
  end
  if (failure.sqlstate or ""):sub(1, 2) == "22" then -- data exception
    return { status = 400, error = bad_value }
  end
  error(("%s %s: %s"):format(failure.kind, failure.sqlstate, failure.message), 0)
end

return M
