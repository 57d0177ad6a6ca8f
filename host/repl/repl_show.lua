--- Values for people: nested strings quoted, short tables on one line, others indented, the tables
--- behind proxies. Bounded; runs no metamethod.
---
--- Arguments: original(value): the table behind a proxy, or nil; next_of: Lua's own next;
--- describe(value): a number, function or userdata as text. Returns show(value).
local original, next_of, describe = ...
local rawget, sort, type, tostring, concat = rawget, table.sort, type, tostring, table.concat

local MAX_DEPTH, MAX_ITEMS, MAX_NESTED_STRING, MAX_OUTPUT, LINE_COLUMNS = 5, 100, 400, 65536, 80

local parts, length

local function put(text)
  parts[#parts + 1] = text
  length = length + #text
end

--- Takes back what was put since there were so many parts.
local function forget(count)
  for i = #parts, count + 1, -1 do
    length = length - #parts[i]
    parts[i] = nil
  end
end

local function quoted(text)
  local quote = text:find('"', 1, true) and not text:find("'", 1, true) and "'" or '"'
  local shown = text:sub(1, MAX_NESTED_STRING):gsub('[%c"\'\\]', function(c)
    if c == "\n" then
      return "\\n"
    elseif c:find("%c") then
      return ("\\%03d"):format(c:byte())
    end
    return (c == quote or c == "\\") and "\\" .. c or c
  end)
  return quote .. shown .. quote
    .. (#text > MAX_NESTED_STRING and ("… (%d bytes)"):format(#text) or "")
end

local ranks = { string = 1, number = 2, boolean = 3 }

local function comes_before(a, b)
  local kind, other = type(a), type(b)
  if kind == other and ranks[kind] and ranks[kind] < 3 then
    return a < b
  end
  return (ranks[kind] or 0) < (ranks[other] or 0)
end

--- The first keys outside 1 to `items`, sorted, and the number of all of them.
local function other_keys(of, items)
  local keys, count = {}, 0
  for key in next_of, of do
    if not (type(key) == "number" and key >= 1 and key <= items and key % 1 == 0) then
      count = count + 1
      if count <= MAX_ITEMS then
        keys[count] = key
      end
    end
  end
  sort(keys, comes_before)
  return keys, count
end

local put_value

local function put_key(key, one_line)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then
    put(key)
  else
    put("[")
    put_value(key, MAX_DEPTH, one_line)
    put("]")
  end
  put(" = ")
end

--- The items of a table, each after what separates it from the one before.
local function put_items(of, depth, one_line)
  local items = #of
  local shown = items < MAX_ITEMS and items or MAX_ITEMS
  local keys, others = other_keys(of, items)
  local first = true
  local function begin()
    put(one_line and (first and "" or ", ")
      or (first and "\n" or ",\n") .. ("  "):rep(depth + 1))
    first = false
  end
  for i = 1, shown do
    begin()
    put_value(rawget(of, i), depth + 1, one_line)
  end
  for _, key in next_of, keys do
    begin()
    put_key(key, one_line)
    put_value(rawget(of, key), depth + 1, one_line)
  end
  if items - shown + others - #keys > 0 then
    begin()
    put(("… %d more"):format(items - shown + others - #keys))
  end
end

local function put_table(value, depth, one_line)
  local of = original(value) or value
  if next_of(of) == nil then
    put("{}")
  elseif depth >= MAX_DEPTH or length >= MAX_OUTPUT then
    put("{…}")
  else
    local count, before = #parts, length
    put("{ ")
    put_items(of, depth, true)
    put(" }")
    if not one_line and length - before + 2 * depth > LINE_COLUMNS then
      forget(count)
      put("{")
      put_items(of, depth, false)
      put("\n" .. ("  "):rep(depth) .. "}")
    end
  end
end

function put_value(value, depth, one_line)
  local kind = type(value)
  if kind == "table" then
    put_table(value, depth, one_line)
  elseif kind == "string" then
    put(quoted(value))
  elseif kind == "nil" or kind == "boolean" then
    put(tostring(value))
  else
    put(describe(value))
  end
end

return function(value)
  if type(value) == "string" then
    return #value <= MAX_OUTPUT and value
      or value:sub(1, MAX_OUTPUT) .. ("… (%d bytes)"):format(#value)
  end
  parts, length = {}, 0
  put_value(value, 0, false)
  return concat(parts)
end
