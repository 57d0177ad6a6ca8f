--- The double of the clock binding: stands still until it is moved.

local M = {}

local START = 1750000000 -- a moment of 2025
local now

--- Back to the start; done before each `it`.
function M.reset()
  now = START
end

--- Goes on.
---@param seconds number
function M.advance(seconds)
  now = now + seconds
end

M.reset()

--- What scripts get for `require "clock"`.
M.binding = {}

function M.binding.monotonic()
  return now - START
end

function M.binding.wall()
  return now
end

return M
