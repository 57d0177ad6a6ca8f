--- Field declarations that several handlers share.

local M = {}

local STAGE = { "pending", "initialized", "processing", "completed", "failed", "cancelled" }

--- An id that must not be empty.
---@param ... string paths; the first one present counts
---@return Field field
function M.id(...)
  return { min = 1, ... }
end

--- A field that is checked and not passed to the handler.
---@param path string
---@param field? table the rest of its declaration
---@return Field field
function M.checked(path, field)
  field = field or {}
  field[1], field.check_only = path, true
  return field
end

--- Adds the required fields of a SystemProcessingMetadata block. The first release nests the keys
--- of the entity in an object `entity`; the current one has them in the block itself.
---@param block string path of the block
---@param fields table<string, string|Field> of the handler; changed in place
---@return table<string, string|Field> fields the same table
function M.with_block(block, fields)
  local function either(key)
    return { block .. ".entity." .. key, block .. "." .. key, check_only = true }
  end
  fields.block_entity_id = either("entity_id")
  fields.block_entity_type = either("entity_type")
  fields.block_stage = M.checked(block .. ".processing_stage", { enum = STAGE, optional = true })
  return fields
end

--- An integer within the range of an integer column.
---@param path string
---@param field? table the rest of its declaration
---@return Field field
function M.int32(path, field)
  field = field or {}
  field[1], field.type = path, "integer"
  field.min, field.max = field.min or -2147483648, 2147483647
  return field
end

return M
