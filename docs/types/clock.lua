---@meta clock

--- Clocks, for durations and logs. Times in rows and responses come from events, never from here:
--- so replays give the same result. An event whose handler reads a clock cannot be verified or rebuilt.
---
--- ```lua
--- local started = clock.monotonic()
--- ```
---@class clock
local clock = {}

--- Seconds since an arbitrary moment, for durations.
---@return number seconds
function clock.monotonic() end

--- Unix seconds, for logs.
---@return number seconds
function clock.wall() end

return clock
