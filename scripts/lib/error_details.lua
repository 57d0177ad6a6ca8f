--- Builds the error detail of a failed result.

local json = require("json")
local times = require("lib.times")

local M = {}

--- Builds the JSON. A stack trace in the event is not copied.
---@param event handlers.spellcheck_result.Event|handlers.spellcheck_completed_first.Event
---@param operation string the operation that failed
---@param details table<string, string> ids
---@param said { code?: string, message?: string } by the event; nil: a default
---@return string text
function M.build(event, operation, details, said)
  return json.encode({
    error_code = said.code or "SPELLCHECK_SERVICE_ERROR",
    message = said.message or "Spell check failed",
    correlation_id = event.correlation_id or json.null,
    timestamp = times.naive(event.time),
    service = "result_aggregator_service",
    operation = operation,
    details = details,
  })
end

return M
