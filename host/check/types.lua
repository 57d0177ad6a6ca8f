--- LuaCATS definitions of what scripts declare; the classes extend those of docs/types.
--- Arguments: the module json, the declarations' text, no limit, and query_columns.lua's function.
local json, text, _, columns_of = ...
local declared = assert(json.decode(text))

local LIST = "(%s|json.Null)[]"
--- The types that rows have columns of the view as; others are strings.
declared.lua_types = setmetatable({
  ["text[]"] = LIST:format("string"), ["id[]"] = LIST:format("string"),
  integer = "integer", ["integer[]"] = LIST:format("integer"), count = "integer",
  bigint = "integer|string", ["bigint[]"] = LIST:format("integer|string"),
  ["date[]"] = LIST:format("string"), ["uuid[]"] = LIST:format("string"),
  double = "number", ["double[]"] = LIST:format("number"),
  boolean = "boolean",
}, {
  __index = function()
    return "string"
  end,
})

local lines = {
  "---@meta _",
  "",
  "--- Written by `aggregator types` from the declarations of the scripts: do not edit.",
}

local function say(format, ...)
  lines[#lines + 1] = format:format(...)
end

--- Dots replace the slashes of a file's name.
local function class_of(name)
  return (name:gsub("/", "."))
end

local function say_class(format, ...)
  say("\n---@class " .. format, ...)
end

-- The view --------------------------------------------------------------------------------------

--- What handlers write: a time is a number, what is counted an id; of a set one item is enough.
local function column_type(column)
  if column.type == "timestamp" then
    return "integer"
  elseif column.type == "count" then
    return "string|integer|(string|integer)[]"
  end
  local written = declared.lua_types[column.type]
  local item = column.in_set and declared.lua_types[column.type:gsub("%[%]$", "")]
  return item and item .. "|" .. item:gsub(".*|.*", "(%0)") .. "[]" or written
end

--- A value without a list is enough if one column of the key is given.
local function key_type(of)
  local kinds, seen, given = {}, {}, 0
  for _, column in ipairs(of.key) do
    if column.type ~= "content" then
      given = given + 1
      for kind in column_type(column):gmatch("[^|]+") do
        kinds[#kinds + 1] = not seen[kind] and kind or nil
        seen[kind] = true
      end
    end
  end
  local kind = table.concat(kinds, "|")
  local list = (#kinds > 1 and "(" .. kind .. ")" or kind) .. "[]"
  return given > 1 and list or kind .. "|" .. list
end

--- One field per group: a language server reads them as overloads.
local function say_table(of)
  for _, group in ipairs(of.groups) do
    say_class("view.%s.%s", of.name, group.name)
    for _, column in ipairs(group.columns) do
      say("---@field %s? %s %s", column.name, column_type(column), column.sql_type)
    end
  end
  say_class("view.%s: ViewTable", of.name)
  for _, group in ipairs(of.groups) do
    say('---@field merge fun(self: view.%s, key: %s, group: "%s", columns: view.%s.%s)', of.name,
      key_type(of), group.name, of.name, group.name)
  end
end

-- Handlers --------------------------------------------------------------------------------------

local field_types = {
  integer = "integer", bigint = "integer|string", timestamp = "integer", number = "number",
  boolean = "boolean", object = "true", strings = "string[]",
}

--- Own words, without duplicates.
local function choices_of(field)
  local words, seen = {}, {}
  for _, word in ipairs(field.choices) do
    words[#words + 1] = not seen[word] and ('"%s"'):format(word) or nil
    seen[word] = true
  end
  table.sort(words)
  return table.concat(words, "|")
end

local type_of

--- The fields that scripts see, each as text.
local function each_field(fields, format)
  local items = {}
  for _, field in ipairs(fields) do
    if not field.check_only then
      items[#items + 1] = format:format(field.name, field.optional and "?" or "", type_of(field),
        field.path)
    end
  end
  return items
end

function type_of(field)
  if field.type == "list" then
    local items = each_field(field.fields, "%s%s: %s")
    return #items == 0 and "table[]" or "{ " .. table.concat(items, ", ") .. " }[]"
  elseif #field.choices > 0 then
    return choices_of(field)
  end
  return field_types[field.type] or "string"
end

local function say_handler(handler)
  local class = class_of(handler.name)
  say_class("%s.Event: Event", class)
  for _, line in ipairs(each_field(handler.fields, "---@field %s%s %s %s")) do
    say("%s", line)
  end
  say_class("%s: Handler", class)
  say('---@field handle fun(event: %s.Event, view: View): "ignored"?', class)
end

-- Queries ---------------------------------------------------------------------------------------

--- The parameters, whose types Postgres decides, a row and the list of rows. Any column is possible
--- if the text does not name the columns.
local function say_query(query)
  local class = class_of(query.name)
  say_class("sql.%s", class)
  for _, name in ipairs(query.params) do
    say("---@field %s any", name)
  end
  say_class("sql.%s.Row", class)
  local any = { { name = "[string]", type = "any" } }
  for _, column in ipairs(columns_of(query.text, declared) or any) do
    say("---@field %s %s", column.name, column.type)
  end
  say_class("sql.%s.Rows: pg.Rows", class)
  say("---@field [integer] sql.%s.Row", class)
end

local function say_calls(owner)
  say_class("%s", owner)
  for _, query in ipairs(declared.queries) do
    local class = class_of(query.name)
    say('---@field query fun(name: "%s", params?: sql.%s): sql.%s.Rows?, Failure', query.name,
      class, class)
  end
end

local function say_visits()
  for _, query in ipairs(declared.queries) do
    local class = class_of(query.name)
    say('---@field each fun(name: "%s", params: sql.%s, visit: fun(row: sql.%s.Row)): integer?, '
      .. "Failure", query.name, class, class)
  end
end

for _, of in ipairs(declared.view) do
  say_table(of)
end
say_class("View")
for _, of in ipairs(declared.view) do
  say("---@field %s view.%s", of.name, of.name)
end
for _, handler in ipairs(declared.handlers) do
  say_handler(handler)
end
for _, reaction in ipairs(declared.reactions) do
  say_class("%s: Reaction", class_of(reaction.name))
  say("---@field publish fun(row: sql.%s.Row): Message|Message[]|nil", class_of(reaction.query))
end
for _, query in ipairs(declared.queries) do
  say_query(query)
end
say_calls("pg")
say_visits()
say_calls("pg.Transaction")
return table.concat(lines, "\n") .. "\n"
