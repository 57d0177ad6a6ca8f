--- The double of the clock binding: stands still until it is moved.
-- @module doubles.clock

local M = {}

local START = 1750000000 -- a moment of 2025
local now

--- Back to the start; done before each `it`.
function M.reset()
  now = START
end

--- @tparam number seconds to go on by
function M.advance(seconds)
  now = now + seconds
end

M.reset()

--- What scripts get for `require "clock"`.
M.binding = {}

--- @treturn number seconds, for durations
function M.binding.monotonic()
  return now - START
end

--- @treturn number Unix seconds
function M.binding.wall()
  return now
end

return M
