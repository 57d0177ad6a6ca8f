--- Field declarations that several handlers and routes share.

local M = {}

--- An id, which must not be empty.
---@param path string
---@param field? Field the rest of its declaration
---@return Field field
function M.id(path, field)
  field = field or {}
  field[1], field.min, field.max = path, 1, 64
  return field
end

--- A number within bounds.
---@param path string
---@param min number
---@param max number
---@return Field field
function M.number(path, min, max)
  return { path, type = "number", min = min, max = max }
end

return M
