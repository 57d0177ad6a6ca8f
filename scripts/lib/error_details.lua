--- Builds the error detail of a failed result.
-- @module lib.error_details

local json = require("json")
local times = require("lib.times")

local M = {}

--- @tparam table event time, correlation_id, and error_message where it states one
-- @tparam string operation what failed, in this service's words
-- @tparam {string=string,...} details ids
-- @tparam ?string error_code
-- @treturn string JSON, with no stack trace whatever the event carries
function M.build(event, operation, details, error_code)
  return json.encode({
    error_code = error_code or "SPELLCHECK_SERVICE_ERROR",
    message = event.error_message or "Spell check failed",
    correlation_id = event.correlation_id or json.null,
    timestamp = times.naive(event.time),
    service = "result_aggregator_service",
    operation = operation,
    details = details,
  })
end

return M
