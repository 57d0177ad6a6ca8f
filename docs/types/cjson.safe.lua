---@meta cjson.safe

--- `cjson`, with nil and an error's text in place of an error.
---@class cjson.safe: cjson
local cjson = { safe = {} }

--- Writes a value, as `json.encode` does.
---@param value any
---@return string text nil where it failed
---@return string problem nil where it succeeded
function cjson.safe.encode(value) end

--- Reads a text by strict RFC 8259, as `json.decode` does.
---@param text string at most 16 MiB and 64 levels
---@return any value nil where it failed
---@return string problem nil where it succeeded
function cjson.safe.decode(text) end

--- A table of its own with the same functions.
---@return cjson.safe module
function cjson.safe.new() end

return cjson.safe
