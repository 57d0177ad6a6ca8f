---@meta redis

--- Commands of Redis, alone or in a pipeline.
---
--- One connection per Lua state. Every exchange ends within `redis.timeout_ms`. After a failure
--- calls fail at once for 0.1 s, doubling to 5 s.
---
--- | Redis | comes as |
--- | --- | --- |
--- | string, status (`OK`) | string |
--- | integer | number, or digits past 2^53 |
--- | nil | nil; `false` within a list |
--- | list | list |
--- | error | nil and a failure; `{ error = failure }` within a list |
---
--- Refused with an error: commands that wait in the server (`BLPOP`, `BLMOVE`, `XREAD … BLOCK`,
--- `WAIT`, …), that turn the connection into a stream (`SUBSCRIBE`, `MONITOR`, …), and that change it
--- for others (`SELECT`, `AUTH`, `CLIENT`, `WATCH`, `MULTI` alone, …). In place of `WATCH`, use a
--- script (`EVAL`).
---@class redis
local redis = {}

--- Sends one command and waits for its reply. A missing key is nil without failure.
---
--- ```lua
--- local value, failure = redis.call("GET", "limit:" .. user_id)
--- if failure then log.warning("no limits", { reason = failure.message }) end
--- ```
---@param command string such as `"GET"`
---@param ... string|number its arguments; strings of any bytes
---@return any reply see the table above
---@return Failure failure nil where it succeeded
function redis.call(command, ...) end

--- Sends all commands at once and waits once. `MULTI` is taken with its `EXEC` or `DISCARD` in the
--- same pipeline.
---
--- ```lua
--- local replies = redis.pipeline({ { "INCR", key }, { "EXPIRE", key, 60 } })
--- if replies and replies[1].error then … end
--- ```
---@param commands (string|number)[][] such as `{ { "GET", "a" }, … }`
---@return any[]? replies in order, each as within a list; nil where it failed
---@return Failure failure nil where it succeeded
function redis.pipeline(commands) end

return redis
