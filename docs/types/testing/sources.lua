---@meta testing.sources

--- What the scripts under test were made of.
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

return sources
