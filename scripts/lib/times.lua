--- Formats times for responses and events.

local clock = require("clock")

local M = {}

--- Formats a time as UTC without a zone, with six fraction digits.
---@param us integer|string microseconds since 1970
---@return string text
function M.naive(us)
  return clock.rfc3339(us):sub(1, -2)
end

--- Formats a time as the platform's events have it: UTC with `Z`.
---@param us integer|string microseconds since 1970
---@return string text
function M.wire(us)
  return clock.rfc3339(us)
end

return M
