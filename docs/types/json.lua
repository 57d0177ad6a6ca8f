---@meta json

--- JSON, exactly.
---@class json
local json = {}

--- JSON's `null`; it can be compared with `==`, and is true in a condition.
---@class json.Null: lightuserdata

--- JSON's `null`.
---@type json.Null
json.null = nil

--- Writes a value. Keys are sorted, so that equal tables give equal texts. A table with items is a
--- list, one without is an object unless marked (`json.array`, or returned by a module). nil and
--- `json.null` are `null`. Bytes that are not UTF-8 become U+FFFD.
---
--- Errors: functions and other values without a form, NaN and infinity, tables with both items and
--- keys or with gaps, more than 64 levels, more than 16 MiB.
---
--- ```lua
--- return { status = 200, body = json.encode({ items = json.array(found) }) }
--- ```
---@param value any
---@return string text
function json.encode(value) end

--- Reads a text by strict RFC 8259. `null` is `json.null`, and is true in a condition. Integers past
--- 2^53 are strings of digits. Of equal keys the last wins.
---
--- ```lua
--- local prompt, failure = json.decode(response.body)
--- if not prompt then error(failure.message) end
--- ```
---@param text string at most 16 MiB and 64 levels
---@return any value nil where it failed
---@return Failure failure nil where it succeeded; of kind `"input"`, that names the byte
function json.decode(text) end

--- Marks a table as a list, so that an empty one is written as `[]`.
---@generic T: table
---@param table T
---@return T table the same
function json.array(table) end

return json
