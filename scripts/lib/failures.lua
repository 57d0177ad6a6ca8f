--- Converts a failed query to the response of a route.

local M = {}

--- Makes a 503 of an outage, a 422 of an answer that `is_answerable` (sql/functions/answers.sql)
--- refused, and a 400 of a value that the database refused. Raises the rest.
---@param failure Failure of pg.query
---@param bad_value string the message of the 400
---@return Response response
function M.response(failure, bad_value)
  if failure.kind == "unavailable" or failure.kind == "timeout" then
    return { unavailable = failure }
  end
  if failure.sqlstate == "54000" then -- program_limit_exceeded
    local reason = "A batch has more than 10,000 essays: too many for one response"
    return { status = 422, error = reason }
  end
  if (failure.sqlstate or ""):sub(1, 2) == "22" then -- data exception
    return { status = 400, error = bad_value }
  end
  error(("%s %s: %s"):format(failure.kind, failure.sqlstate, failure.message), 0)
end

return M
