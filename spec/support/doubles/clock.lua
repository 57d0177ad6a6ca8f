--- The double of the clock binding: its time changes only when a spec advances it.

local sources = require("testing.sources")

local M = {}

local START = 1750000000 -- a moment of 2025
local now

--- Resets the time; called before each `it`.
function M.reset()
  now = START
end

--- Advances the time.
---@param seconds number
function M.advance(seconds)
  now = now + seconds
end

M.reset()

--- The module that scripts get for `require "clock"`.
M.binding = {}

function M.binding.monotonic()
  return now - START
end

function M.binding.wall()
  return now
end

M.binding.rfc3339 = sources.binding("clock").rfc3339

return M
