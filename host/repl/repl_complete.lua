--- Completes globals, keywords, fields of tables, and in quotes names of queries and modules. Runs
--- no metamethod.
---
--- Arguments: original(value): the table behind a proxy, or nil; next_of: Lua's own next; the
--- console's globals and the sandbox's; modules() and queries(): sets of names. Returns
--- complete(line): the words, sorted, and how many bytes of them are typed.
local original, next_of, console, sandbox, modules, queries = ...
local rawget, sort, type = rawget, table.sort, type

local KEYWORDS = "and break do else elseif end false for function if in local nil not or repeat "
  .. "return then true until while"

--- Where the string begins that the cursor is in.
local function open_string(line)
  local quote, start
  local at = 1
  while at <= #line do
    local c = line:sub(at, at)
    if quote and c == "\\" then
      at = at + 1
    elseif c == quote then
      quote = nil
    elseif not quote and (c == '"' or c == "'") then
      quote, start = c, at + 1
    end
    at = at + 1
  end
  return quote and start
end

--- The table of the value's fields.
local function fields_of(value)
  if type(value) == "string" then
    value = rawget(sandbox, "string")
  end
  return type(value) == "table" and (original(value) or value) or nil
end

--- The table behind the path `a.b.`; none if it is empty.
local function open_path(path)
  local at
  for name in path:gmatch("([^.:]*)[.:]") do
    local value = rawget(at or console, name)
    if value == nil and not at then
      value = rawget(sandbox, name)
    end
    at = fields_of(value)
    if not at then
      return {}
    end
  end
  return at
end

--- The keys of the tables and the words that begin with the prefix, each once.
local function words_with(prefix, tables, words)
  local found, seen = {}, {}
  local function add(word)
    if type(word) == "string" and word:sub(1, #prefix) == prefix and not seen[word] then
      seen[word] = true
      found[#found + 1] = word
    end
  end
  for i = 1, #tables do
    for key in next_of, tables[i] do
      add(key)
    end
  end
  for word in words:gmatch("%a+") do
    add(word)
  end
  sort(found)
  return found, #prefix
end

return function(line)
  local start = open_string(line)
  local before = start and line:sub(1, start - 2):gsub("[( \t]*$", "")
  if start and before:find("require$") then
    return words_with(line:sub(start), { modules() }, "")
  elseif start then
    return words_with(line:sub(start), before:find("%.query$") and { queries() } or {}, "")
  end
  local path, prefix = line:match("([%w_.:]-)([%w_]*)$")
  local fields = open_path(path)
  if fields then
    return words_with(prefix, { fields }, "")
  end
  return words_with(prefix, { console, sandbox }, KEYWORDS)
end
