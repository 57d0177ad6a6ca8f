--- What a route answers where a query failed.
-- @module lib.failures

local M = {}

local AWAY = { unavailable = true, timeout = true }

--- @tparam {kind=string,message=string,sqlstate=string} failure of pg.query
-- @tparam string bad_value the message where the database refused a value of the request
-- @treturn table an answer: 503, or 400 with the message; what is a fault of ours is raised
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
