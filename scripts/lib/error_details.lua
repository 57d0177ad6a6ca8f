--- Builds the error detail of a failed result.
-- @module lib.error_details

local json = require("json")
local times = require("lib.times")

local M = {}

--- @tparam table event correlation_id, time, and error_code, error_message, error_text
-- @tparam string operation what failed, in this service's words
-- @tparam {string=string,...} details ids
-- @treturn string JSON
function M.build(event, operation, details)
  return json.encode({
    error_code = event.error_code or "SPELLCHECK_SERVICE_ERROR",
    message = event.error_message or event.error_text or "Spell check failed",
    correlation_id = event.correlation_id or json.null,
    timestamp = times.naive(event.time),
    service = "result_aggregator_service",
    operation = operation,
    details = details,
  })
end

return M
