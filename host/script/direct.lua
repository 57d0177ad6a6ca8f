--- Builds what compiled scripts read and merge through: Lua over the FFI, generated from the
--- declarations. The compiler turns a field into a load, and a merge of literal columns into one
--- call without a table.
---
--- What it cannot do itself, errors above all, it leaves to the C function of interpreted states by
--- a tail call, which leaves no frame: the error and its position are the same.
---
--- Its functions take `...` although their number of parameters is fixed: LuaJIT begins no trace at
--- such a function. It compiles them where a script calls them, once for each place.
---
--- Arguments: the library `ffi`; its declarations (direct_calls.c); the addresses of direct_calls
--- and of the state's instance; json.null.
local ffi, declarations, calls, state, null = ...
local concat, loadstring, select, setmetatable, tonumber, type =
  table.concat, loadstring, select, setmetatable, tonumber, type
local text_of = ffi.string
local M = {}

ffi.cdef(declarations)
calls = ffi.cast("const struct direct_calls *", calls)
state = ffi.cast("void *", state)
local stage, touch, format_uuid = calls.stage, calls.touch, calls.format_uuid
local format_date, format_digits = calls.format_date, calls.format_digits

-- Loads generated Lua.
local function load(source, ...)
  return assert(loadstring(source, "=[host]"))(...)
end

-- Events ----------------------------------------------------------------------------------------

-- Interpreted code reads through these, too: what a branch does that is not compiled, such as
-- json.encode. There each step makes an object of the FFI, or costs as much as some hundred
-- instructions of the processor.
local READ_TEXT = "text_of(value.data, value.len)"
local READ = {
  string = READ_TEXT,
  json = READ_TEXT,
  integer = "tonumber(value.integer)",
  timestamp = "tonumber(value.integer)",
  number = "value.number",
  boolean = "value.low ~= 0",
  object = "true",
  uuid = "text_of(format_uuid(state, value.uuid), 36)",
  date = "text_of(format_date(state, value.integer), 10)",
  bigint = "bigint_of(value.integer)",
}

--- A number if a double holds it exactly, else its digits.
local function bigint_of(...)
  local value = ...
  if value > -0x20000000000000LL and value < 0x20000000000000LL then
    return tonumber(value)
  end
  return text_of(format_digits(state, value))
end

-- The place of a value is the same for each event: the compiler takes it for a constant.
local READER = [[
do
  local value = values + %d
  read[%q] = function(...)
    if value.present then
      local result = %s
      return result
    end
  end
end
]]

-- The fields whose values scripts get as texts have references: tables without fields, which only
-- the calls of M.merge see. The code of one is what C takes in place of the text's length.
local REFERABLE = { string = true, json = true, uuid = true, date = true }
local MOST_FIELDS = 65536 -- as in direct_calls.c
local references, codes, read_reference = {}, {}, {}
M.references = references

-- Makes the references to the fields of a handler's events.
local function refer(proxy, handler, fields)
  local made = {}
  for _, field in ipairs(fields) do
    if REFERABLE[field.type] then
      local reference = {}
      made[field.name] = reference
      codes[reference] = -(handler * MOST_FIELDS + field.at + 1)
      read_reference[reference] = function()
        return proxy[field.name]
      end
    end
  end
  references[proxy] = made
end

--- The `__index` of a handler's events.
---@param proxy table what scripts see
---@param handler integer its number
---@param frame lightuserdata its direct_frame
---@param fields { name: string, type: string, at: integer }[] what scripts may read
---@param refuse function the `__index` of other names
function M.event(proxy, handler, frame, fields, refuse)
  local source = { "local values, read, state, format_uuid, format_date, bigint_of, text_of, "
    .. "tonumber = ...\n" }
  for i, field in ipairs(fields) do
    source[i + 1] = READER:format(field.at, field.name, READ[field.type])
  end
  local read = {}
  refer(proxy, handler, fields)
  frame = ffi.cast("const struct direct_frame *", frame)
  load(concat(source), frame.values, read, state, format_uuid, format_date, bigint_of, text_of,
    tonumber)
  return function(...)
    local self, name = ...
    local reader = read[name]
    if reader and frame.running then
      local value = reader() -- no tail call: a trace may have few of them
      return value
    end
    return refuse(self, name)
  end
end

-- The view --------------------------------------------------------------------------------------

-- Checks the type of variable #, and sets the two arguments that it becomes.
local CHECK = {
  key = [[
  if type(c#) ~= "string" then
    return false
  end
  local n# = #c#
]],
  text = [[
  local n# = 0
  if type(c#) == "string" then
    n# = #c#
  elseif c# == null then
    c# = nil
  elseif c# ~= nil then
    return false
  end
]],
  number = [[
  local n# = 0
  if type(c#) == "number" then
    n# = 1
  elseif c# == nil or c# == null then
    c# = 0
  else
    return false
  end
]],
  boolean = [[
  local n# = 1
  if c# == true then
    c# = 1
  elseif c# == false then
    c# = 0
  elseif c# == nil or c# == null then
    n#, c# = 0, 0
  else
    return false
  end
]],
}

-- The same where a reference may stand. It is no text, and no script has one.
local CHECK_REFERENCE = {
  key = [[
  local n# = c# ~= nil and codes[c#]
  if n# then
    c# = nil
  elseif type(c#) == "string" then
    n# = #c#
  else
    return false
  end
]],
  text = [[
  local n# = c# ~= nil and codes[c#]
  if n# then
    c# = nil
  elseif type(c#) == "string" then
    n# = #c#
  elseif c# == nil or c# == null then
    n#, c# = 0, nil
  else
    return false
  end
]],
}

-- The texts are arguments of the call, and not stored before it: that keeps them from the garbage
-- collector until C has copied them.
local STAGE = [[
local type, null, stage, state, codes = ...
return function(...)
  local _, c0, _, %s = ...
%s  local problem = stage(state, %d, %d, c0, n0%s)
  return problem == 0
end
]]
local ABSENT = { text = ", nil, 0", number = ", 0, 0", boolean = ", 0, 0" }

-- Reads a plan, "GROUP,COLUMN,…" where a dot marks what may be a reference: the group's name, that
-- of the key being 0, then those of the columns, whose values are the variables c1, c2 …; and which
-- of the key (0) and the columns are marked.
local function read_plan(plan)
  local names, variables, marked = {}, {}, {}
  local count = 0
  for mark, name in (plan .. ","):gmatch("(%.?)([^,]+),") do
    names[count], marked[count] = name, mark ~= ""
    variables[#variables + 1] = count > 0 and "c" .. count or nil
    count = count + 1
  end
  return names, variables, marked
end

local function make_check(kind, is_marked, number)
  local check = is_marked and CHECK_REFERENCE[kind] or CHECK[kind]
  return (check:gsub("([cn])#", "%1" .. number))
end

-- A function that stages a merge of the plan; false if the group lacks a column.
local function make_stage(table_number, group, plan)
  local names, variables, marked = read_plan(plan)
  local kinds, variable_of, arguments = {}, {}, {}
  local checks = { make_check("key", marked[0], 0) }
  for _, column in ipairs(group.columns) do
    kinds[column.name] = column.kind
  end
  for i, name in ipairs(names) do
    if not kinds[name] then
      return false
    end
    variable_of[name] = i
    checks[i + 1] = make_check(kinds[name], marked[i], i)
  end
  for i, column in ipairs(group.columns) do
    local variable = variable_of[column.name]
    arguments[i] = variable and (", c%d, n%d"):format(variable, variable) or ABSENT[column.kind]
  end
  return load(STAGE:format(concat(variables, ", "), concat(checks), table_number, group.at,
    concat(arguments)), type, null, stage, state, codes)
end

-- What a script would have given in place of the reference.
local function read_value(...)
  local value = ...
  local read = value ~= nil and read_reference[value]
  if read then
    return read()
  end
  return value
end

-- The call as it was written.
local function make_method(plan)
  local names, variables, marked = read_plan(plan)
  local values, columns = {}, {}
  for i = 0, #names do
    values[i] = (marked[i] and "read_value(c%d)" or "c%d"):format(i)
  end
  for i, name in ipairs(names) do
    columns[i] = name .. " = " .. values[i]
  end
  return load(([[
local read_value = ...
return function(...)
  local self, c0, _, %s = ...
  return self:merge(%s, %q, { %s })
end
]]):format(concat(variables, ", "), values[0], names[0], concat(columns, ", ")), read_value)
end

-- What stages a plan of a table, by the proxy that scripts see; it returns false if it did not. It
-- is made at the first merge.
local stages = {}
local methods = setmetatable({}, {
  __index = function(made, plan)
    made[plan] = make_method(plan)
    return made[plan]
  end,
})

--- Takes over the merges of a table.
---@param proxy table view.NAME
---@param number integer the table's
---@param groups table[] those that can be staged over the FFI
function M.table(proxy, number, groups)
  local by_name = {}
  for _, group in ipairs(groups) do
    by_name[group.name] = group
  end
  stages[proxy] = setmetatable({}, {
    __index = function(made, plan)
      local group = by_name[plan:match("^%.?([^,]*)")]
      made[plan] = group and make_stage(number, group, plan) or false
      return made[plan]
    end,
  })
end

--- view.TABLE:merge(key, "GROUP", { COLUMN = value, … }), as merge_sites.c writes it: the table, the
--- key, the plan and the values.
function M.merge(...)
  local self, _, plan = ...
  local made = stages[self]
  local stage_plan = made and made[plan]
  if stage_plan and stage_plan(...) then
    return
  end
  return methods[plan](...)
end

--- The method `touch` of the view.
function M.touch(view, slow)
  return function(...)
    local self, id = ...
    if select("#", ...) == 2 and self == view and type(id) == "string" then
      local problem = touch(state, id, #id)
      if problem == 0 then
        return
      end
    end
    return slow(...)
  end
end

return M
