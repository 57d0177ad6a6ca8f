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

--- A time as text, in UTC: `"2026-01-31T08:00:00.000000Z"` (RFC 3339, section 5.6). It reads no clock: handlers and
--- reactions may call it.
---
--- ```lua
--- local text = clock.rfc3339(event.time)
--- ```
---@param time_us integer|string microseconds since 1970, as `timestamp` fields and columns have them
---@return string text
function clock.rfc3339(time_us) end

return clock
