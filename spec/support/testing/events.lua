--- Real events to start from, and ways to change them. Paths are dotted; items of lists have their
-- number: "data.rankings.1.rank".
-- @module testing.events

local fixtures = require("testing.fixtures")
local handlers = require("testing.handlers")

local M = {}

--- @tparam string name of a file in spec/fixtures/events, without its ending
-- @treturn table the event, a new one each time
function M.load(name)
  return fixtures.load("events/" .. name .. ".json")
end

local function key_of(word)
  return tonumber(word) or word
end

--- The table that holds the last key of a path, and that key.
local function find(event, path)
  local holder, last = event, nil
  for word in path:gmatch("[^.]+") do
    if last ~= nil then
      holder = type(holder) == "table" and holder[last] or nil
    end
    last = key_of(word)
  end
  return type(holder) == "table" and holder or nil, last
end

--- @return what stands at the path, or nil
function M.get(event, path)
  local holder, key = find(event, path)
  return holder and holder[key]
end

--- Sets, or with nil removes, what stands at the path.
-- @treturn boolean whether there was an object to set it in
function M.set(event, path, value)
  local holder, key = find(event, path)
  if holder then
    holder[key] = value
  end
  return holder ~= nil
end

--- @tparam string name of a fixture
-- @tparam {string=any,...} changes values by path; json.null for null
-- @treturn table the changed event
function M.with(name, changes)
  local event = M.load(name)
  for path, value in pairs(changes) do
    assert(M.set(event, path, value), path)
  end
  return event
end

--- Adds unknown fields to every object of a value.
function M.add_unknown(value)
  if type(value) ~= "table" then
    return value
  end
  local is_list = #value > 0 or getmetatable(value) ~= nil
  for _, item in pairs(value) do
    M.add_unknown(item)
  end
  if not is_list then
    value.unknown_field = { [1] = { deep = "Ünknown" } }
    value.unknown_number = 1.5
  end
  return value
end

--- Whether an outcome ends the cached answers of exactly these ids.
-- @tparam table outcome of handlers.run
-- @tparam string,... ids
-- @treturn boolean
function M.touches(outcome, ...)
  local wanted, missing = {}, false
  for _, id in ipairs({ ... }) do
    wanted[handlers.tag(id)] = true
    missing = missing or not outcome.tags[handlers.tag(id)]
  end
  for tag in pairs(outcome.tags) do
    missing = missing or not wanted[tag]
  end
  return not missing
end

--- The columns of the one merge into a group.
-- @tparam table outcome of handlers.run
-- @tparam string table_name
-- @tparam string group
-- @treturn ?table columns, or nil where nothing was merged into it
-- @treturn ?table key
function M.columns(outcome, table_name, group)
  local found
  for _, merge in ipairs(outcome.merges) do
    if merge.table == table_name and merge.group == group then
      assert(not found, "two merges into " .. table_name .. "." .. group)
      found = merge
    end
  end
  return found and found.columns, found and found.key
end

return M
