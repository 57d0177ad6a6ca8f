--- Derives valid and invalid events from a handler's declaration, so that every declared field is
--- tested.

local envelope = require("envelope")
local events = require("testing.events")
local json = require("json")

local M = {}

--- An event with its expected outcome.
---@class testing.Case
---@field name string
---@field event table
---@field code? string the rejection's code; nil: it must be accepted
---@field path string that was changed

local WRONG = {
  string = { 7, true, {}, json.array({ "x" }) },
  integer = { "7", 1.5, true, {} },
  bigint = { "7x", "", 1.5, true, {} },
  number = { "7", true, {} },
  boolean = { "true", 1, 0 },
  timestamp = { "yesterday", 1750000000, "2025-13-01T00:00:00Z" },
  date = { "yesterday", 20260131, "2026-02-30", "2026-02-03T00:00:00Z" },
  uuid = { "not-a-uuid", 7 },
  json = { "text", 7, true },
  object = { "text", 7, json.array({ 1 }) },
  strings = { "text", {}, json.array({ 7 }), json.array({ json.null }) },
  list = { "text", {} },
}

local function describe_value(value)
  return value == json.null and "null" or json.encode(value)
end

--- The field's path that the event has, or the first.
local function present_path(event, field)
  for _, path in ipairs(field) do
    local value = events.get(event, path)
    if value ~= nil and value ~= json.null then
      return path
    end
  end
  return field[1]
end

--- The first item's path: without an item, no event can have one with a wrong field.
local function first_item(event, list)
  local path = present_path(event, list)
  local item = path .. ".1"
  if type(events.get(event, item)) ~= "table" then
    local lacks = "the fixture has no %s: give its %s an object, of which the cases are made"
    error(lacks:format(item, path), 0)
  end
  return item
end

--- Fields with absolute paths; those of lists are taken of the first item.
local function flatten(fields, prefix, event, into)
  for name, field in pairs(fields) do
    local flat = type(field) == "table" and {} or { prefix .. field }
    for key, value in pairs(type(field) == "table" and field or {}) do
      flat[key] = type(key) == "number" and prefix .. value or value
    end
    flat.type = flat.type or "string"
    into[prefix .. name] = flat
    if flat.type == "list" then
      flatten(flat.fields, first_item(event, flat) .. ".", event, into)
    end
  end
  return into
end

local function all_fields(handler, event)
  local fields = flatten(handler.fields, "", event, {})
  flatten(envelope.fields or {}, "", event, fields)
  fields.event_id = { envelope.id, type = "uuid" }
  fields.time = { handler.time or envelope.time, type = "timestamp" }
  fields.correlation_id = { envelope.correlation_id, type = "string", optional = true }
  return fields
end

local function add(cases, fixture, field, value, code)
  local event = events.load(fixture)
  local path = present_path(event, field)
  if events.set(event, path, value) then
    local name = ("%s is %s"):format(path, describe_value(value))
    cases[#cases + 1] = { name = name, event = event, code = code, path = path }
  end
end

local function is_required(field, fields, event)
  local condition = field.required_if and fields[field.required_if]
  if condition then
    local value = events.get(event, present_path(event, condition))
    return value ~= nil and value ~= json.null
  end
  return not field.optional
end

local function add_missing(cases, fixture, field, fields)
  for word, value in pairs({ missing = false, null = json.null }) do
    local event = events.load(fixture)
    local named = present_path(event, field)
    for _, path in ipairs(field) do
      local there = events.get(event, path) ~= nil
      events.set(event, path, value or nil)
      if not there then
        events.set(event, path, nil)
      end
    end
    cases[#cases + 1] = {
      name = ("%s is %s"):format(named, word),
      event = event,
      code = is_required(field, fields, events.load(fixture)) and "missing_field" or nil,
      path = named,
    }
  end
end

local function add_bounds(cases, fixture, field)
  if field.type == "integer" or field.type == "bigint" or field.type == "number" then
    if field.min then
      add(cases, fixture, field, field.min - 1, "out_of_range")
    end
    if field.max then
      add(cases, fixture, field, field.max + 1, "out_of_range")
    end
  elseif field.type == "string" and field.min == 1 then
    add(cases, fixture, field, "", "out_of_range")
  elseif field.type == "strings" and field.min == 1 then
    add(cases, fixture, field, json.array({ "" }), "out_of_range")
  end
end

local function add_field(cases, fixture, field, fields)
  add_missing(cases, fixture, field, fields)
  for _, value in ipairs(WRONG[field.type]) do
    add(cases, fixture, field, value, "wrong_type")
  end
  add_bounds(cases, fixture, field)
  if field.type == "list" then
    add(cases, fixture, field, json.array({ 7 }), "not_object")
  end
  if field.enum then
    add(cases, fixture, field, "no_such_word", "unknown_value")
  elseif field.type == "string" then
    add(cases, fixture, field, "a\0b", "bad_string")
  end
end

--- Makes all events that a declaration must reject, and some that it must accept.
---@param name string of the handler, "handlers/x"
---@param fixture string of an event that it applies, with an item in each list
---@return testing.Case[] cases
function M.cases(name, fixture)
  local cases, fields = {}, all_fields(require(name), events.load(fixture))
  for _, field in pairs(fields) do
    add_field(cases, fixture, field, fields)
  end
  table.sort(cases, function(a, b)
    return a.name < b.name
  end)
  return cases
end

return M
