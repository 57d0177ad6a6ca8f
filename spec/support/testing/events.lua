--- Real events to start from, and ways to change them. Paths are dotted; items of lists have their
--- number: "data.rankings.1.rank".

local fixtures = require("testing.fixtures")
local handlers = require("testing.handlers")

local M = {}

--- The event, a new one each time.
---@param name string of a file in spec/fixtures/events, without its ending
---@return table event
function M.load(name)
  return fixtures.load("events/" .. name .. ".json")
end

--- Recorded events, for `handlers.replay`.
---@param path string below spec/fixtures, of a file that `aggregator tap --record` wrote
---@param names string[] `{ "handlers/x", … }`: events of the topics that these declare
---@return [string, table][] events `{ { name, event }, … }`, in the order of the file
function M.recorded(path, names)
  local handler_of, found = {}, {}
  for _, name in ipairs(names) do
    for _, topic in ipairs(require((name:gsub("/", "."))).topics) do
      handler_of[topic] = name
    end
  end
  for _, line in ipairs(fixtures.lines(path)) do
    local record = fixtures.decode(line)
    if handler_of[record.topic] and type(record.value) == "table" then
      found[#found + 1] = { handler_of[record.topic], record.value }
    end
  end
  return found
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

--- The value at the path, or nil.
---@param event table
---@param path string
---@return any value
function M.get(event, path)
  local holder, key = find(event, path)
  return holder and holder[key]
end

--- Sets the value at the path; nil removes it.
---@param event table
---@param path string
---@param value any
---@return boolean done whether there was an object to set it in
function M.set(event, path, value)
  local holder, key = find(event, path)
  if holder then
    holder[key] = value
  end
  return holder ~= nil
end

--- The event with some values changed.
---@param name string of a fixture
---@param changes table<string, any> values by path; json.null for null
---@return table event
function M.with(name, changes)
  local event = M.load(name)
  for path, value in pairs(changes) do
    assert(M.set(event, path, value), path)
  end
  return event
end

--- Adds unknown fields to every object of a value.
---@param value any
---@return any value the same
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

--- Whether an outcome drops the cached responses of exactly these ids.
---@param outcome testing.Outcome of handlers.run
---@param ... string ids
---@return boolean touched
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
---@param outcome testing.Outcome of handlers.run
---@param table_name string
---@param group string
---@return any columns by name; nil where nothing was merged into it
---@return any key
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
