--- Converts a failure of a module to the response of a route.

local M = {}

--- Makes a 503 of an outage and a 400 of a value that the database refused. Raises the rest: a bug.
---@param failure Failure of `pg` or `kafka`
---@param bad_value string the message of the 400
---@return Response response
function M.response(failure, bad_value)
  if failure.kind == "unavailable" or failure.kind == "timeout" then
    return { unavailable = failure }
  end
  if (failure.sqlstate or ""):sub(1, 2) == "22" then -- class 22 of SQLSTATE: data exception
    return { status = 400, error = bad_value }
  end
  error(("%s: %s"):format(failure.kind, failure.message), 0)
end

return M
