---@meta clock

--- Clocks, for durations and logs. Times in rows and answers come from events, never from here: that
--- is what makes replays equal. An event whose handler reads a clock cannot be verified or rebuilt.
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
