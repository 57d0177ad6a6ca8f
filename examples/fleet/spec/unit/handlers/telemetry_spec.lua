-- The recorded stream (spec/fixtures/telemetry.jsonl) gives the same rows in any order.
local events = require("testing.events")
local handlers = require("testing.handlers")

local NAMES = {
  "handlers/vehicle_registered",
  "handlers/vehicle_state_changed",
  "handlers/position_reported",
  "handlers/trip_started",
  "handlers/trip_ended",
}

--- Every n-th event, then those after them, and so on. Each event is there once.
local function dealt(list, piles)
  local shuffled = {}
  for pile = 1, piles do
    for i = pile, #list, piles do
      shuffled[#shuffled + 1] = list[i]
    end
  end
  return shuffled
end

--- Rows by key: their order in a batch is that of their first event.
local function rows_of(stream)
  local found = {}
  for name, rows in pairs(handlers.replay(stream).rows) do
    for _, row in ipairs(rows) do
      found[name .. " " .. (row.vehicle_id or row.trip_id)] = row
    end
  end
  return found
end

describe("the telemetry of a fleet", function()
  local stream = events.recorded("telemetry.jsonl", NAMES)
  local expected = rows_of(stream)

  it("names each table of the view", function()
    for _, key in ipairs({ "vehicles truck-04", "trips ", "trip_tracks " }) do
      local found = false
      for name in pairs(expected) do
        found = found or name:find(key, 1, true) == 1
      end
      assert.is_true(found, key)
    end
  end)

  for _, piles in ipairs({ 2, 3, 7, #stream }) do
    it("gives the same rows in " .. piles .. " piles", function()
      assert.are.same(expected, rows_of(dealt(stream, piles)))
    end)
  end

  it("gives the same rows backwards, and twice", function()
    local twice = {}
    for i = #stream, 1, -1 do
      twice[#twice + 1] = stream[i]
    end
    for _, event in ipairs(stream) do
      twice[#twice + 1] = event
    end
    assert.are.same(expected, rows_of(twice))
  end)
end)
