---@meta log

--- Lines of the program's log, with the correlation id of the request or event, and the id of its trace.
---
--- `fields` has strings, numbers and booleans by name, at most 16. Texts are cut to 2,048 bytes.
--- Errors: `time`, `level`, `message`, `correlation_id` or `trace_id` as a field.
---
--- ```lua
--- log.info("prompt looked up", { batch_id = id, milliseconds = 12.5, cached = false })
--- ```
---@class log
local log = {}

--- Writes a line for debugging; it is omitted unless the level is `debug`.
---@param message string
---@param fields? table<string, string|number|boolean> by name
function log.debug(message, fields) end

--- Writes a line about normal operation.
---@param message string
---@param fields? table<string, string|number|boolean> by name
function log.info(message, fields) end

--- Writes a line about a problem.
---@param message string
---@param fields? table<string, string|number|boolean> by name
function log.warning(message, fields) end

--- Writes a line about a failure.
---@param message string
---@param fields? table<string, string|number|boolean> by name
function log.error(message, fields) end

return log
