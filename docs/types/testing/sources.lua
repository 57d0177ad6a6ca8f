---@meta testing.sources

--- The sources of the scripts under test.
---@class testing.sources
local sources = {}

--- The text of `sql/queries/NAME.sql`, or nil.
---@param name string
---@return string? text
function sources.query(name) end

--- The real binding, where a double stands in its place.
---@param name string
---@return table? binding
function sources.binding(name) end

--- The hint of bindings for an unknown word: the nearest key of the set, or all keys.
---@param word string
---@param set table<string, any>
---@return string hint
function sources.hint(word, set) end

--- The names in `sql/queries`.
---@return table<string, true> set
function sources.queries() end

return sources
