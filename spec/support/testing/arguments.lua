--- Checks arguments of doubles as the C bindings check theirs.

local M = {}

local function one_of(value, types)
  for _, wanted in ipairs(types) do
    if type(value) == wanted then
      return true
    end
  end
  return false
end

--- Raises unless the value has one of the types.
---@param name string of the function
---@param position integer of the argument
---@param value any
---@param ... string types that it may have
function M.check(name, position, value, ...)
  if not one_of(value, { ... }) then
    local message = "bad argument #%d to '%s' (%s expected, got %s)"
    error(message:format(position, name, (...), type(value)), 3)
  end
end

--- The keys of an options table: each of its type, and no other ones.
---@param name string of the function
---@param options table
---@param keys table<string, string> type of each key, with a ? in front where it may be left out
function M.check_keys(name, options, keys)
  M.check(name, 1, options, "table")
  for key, wanted in pairs(keys) do
    local optional = wanted:sub(1, 1) == "?"
    local value = options[key]
    local fits = type(value) == wanted:gsub("^%?", "") or (optional and value == nil)
    if not fits then
      error(("%s: `%s` takes a %s, not a %s"):format(name, key, wanted, type(value)), 3)
    end
  end
  for key in pairs(options) do
    if not keys[key] then
      error(("%s: no key `%s`"):format(name, tostring(key)), 3)
    end
  end
end

return M
