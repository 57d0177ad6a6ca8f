--- Parts of declarations that events of both releases share.

local M = {}

local STAGE = { "pending", "initialized", "processing", "completed", "failed", "cancelled" }

--- An id that must not be empty.
---@param ... string paths, of which the first that is there is taken
---@return Field field
function M.id(...)
  return { min = 1, ... }
end

--- A field that is only checked.
---@param path string
---@param field? table the rest of its declaration
---@return Field field
function M.checked(path, field)
  field = field or {}
  field[1], field.check_only = path, true
  return field
end

--- Adds what a SystemProcessingMetadata block must hold. The first release keeps the entity in an
--- object of its own, the current one has its keys in the block.
---@param block string path of the block
---@param fields table<string, string|Field> of the handler
---@return table<string, string|Field> fields the same
function M.with_block(block, fields)
  local function either(key)
    return { block .. ".entity." .. key, block .. "." .. key, check_only = true }
  end
  fields.block_entity_id = either("entity_id")
  fields.block_entity_type = either("entity_type")
  fields.block_stage = M.checked(block .. ".processing_stage", { enum = STAGE, optional = true })
  return fields
end

--- A whole number that an integer column can hold.
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
