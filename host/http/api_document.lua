--- Tools for a JSON document that is a tree of tables. Argument: the module json.
local json = ...

local function is_list(value)
  return getmetatable(value) ~= nil or #value > 0
end

local function sorted_keys(object)
  local keys = {}
  for key in pairs(object) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

--- As JSON, members in the order of their names. break_line: a line feed and the margin, which
--- goes before each member; "": all is one line. json.encode takes tables in scripts only.
local function encode(value, break_line)
  if type(value) ~= "table" then
    return json.encode(value)
  end
  local inner = break_line == "" and "" or break_line .. "  "
  local list, parts = is_list(value), {}
  for index, key in ipairs(list and value or sorted_keys(value)) do
    parts[index] = inner .. (list and encode(key, inner) or ("%s:%s%s"):format(json.encode(key),
      break_line == "" and "" or " ", encode(value[key], inner)))
  end
  local text_of_parts = table.concat(parts, ",") .. (#parts > 0 and break_line or "")
  return list and "[" .. text_of_parts .. "]" or "{" .. text_of_parts .. "}"
end

--- A copy, so that two places of the document never share a table that one of them changes.
local function copy(value)
  if type(value) ~= "table" then
    return value
  end
  local made = is_list(value) and json.array({}) or {}
  for key, item in pairs(value) do
    made[key] = copy(item)
  end
  return made
end

--- Objects are merged by key; any other value of `over` replaces. A reference stands alone.
local function merge(base, over)
  if type(base) ~= "table" or type(over) ~= "table" or is_list(base) or is_list(over)
    or over["$ref"] or base["$ref"] then
    return copy(over)
  end
  for key, value in pairs(over) do
    base[key] = base[key] == nil and copy(value) or merge(base[key], value)
  end
  return base
end

local function ref(section, name)
  return { ["$ref"] = ("#/components/%s/%s"):format(section, name) }
end

local function equal(one, other)
  return encode(one, "") == encode(other, "")
end

--- What the reference points to within the document; nil: nothing.
local function follow(root, reference)
  local node = root
  for part in reference:sub(3):gmatch("[^/]+") do
    local name = part:gsub("~1", "/"):gsub("~0", "~")
    node = type(node) == "table" and (node[name] or node[tonumber(name) and tonumber(name) + 1])
    if not node then
      return nil
    end
  end
  return node
end

--- What a parameter is known by: its place and its name, which in a header has no case.
local function key_of(parameter)
  local name = parameter["in"] == "header" and parameter.name:lower() or parameter.name
  return parameter["in"] .. " " .. name
end

return {
  is_list = is_list, sorted_keys = sorted_keys, encode = encode, copy = copy, merge = merge,
  ref = ref, equal = equal, follow = follow, key_of = key_of,
}
