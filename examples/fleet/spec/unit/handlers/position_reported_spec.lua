local contract = require("testing.contract")
local events = require("testing.events")
local handlers = require("testing.handlers")
local json = require("json")

local NAME, FIXTURE = "handlers/position_reported", "position_reported"

describe("handlers.position_reported", function()
  it("stores the position", function()
    local outcome = handlers.run(NAME, events.load(FIXTURE))
    local columns, key = events.columns(outcome, "vehicles", "position")
    assert.are.same({ vehicle_id = "truck-01" }, key)
    assert.are.same({
      latitude = 57.70887,
      longitude = 11.97456,
      speed_kmh = 48.5,
      heading_deg = 271,
    }, columns)
  end)

  it("keeps the top speed of a trip in any order", function()
    local slow = events.load(FIXTURE)
    local fast = events.with(FIXTURE, {
      id = "00000000-0000-4000-8000-000000000001",
      time = "2026-03-02T07:00:00Z",
      ["data.speed_kmh"] = 92,
    })
    for _, order in ipairs({ { slow, fast }, { fast, slow } }) do
      local rows = handlers.replay({ { NAME, order[1] }, { NAME, order[2] } }).rows
      assert.are.equal(92, rows.trip_tracks[1].top_speed.top_speed_kmh)
      assert.are.equal(48.5, rows.vehicles[1].position.speed_kmh)
    end
  end)

  it("stores no track for a vehicle without a trip", function()
    local outcome = handlers.run(NAME, events.with(FIXTURE, { ["data.trip_id"] = json.null }))
    assert.is_nil(events.columns(outcome, "trip_tracks", "top_speed"))
    assert.is_true(events.touches(outcome, "truck-01"))
  end)

  for _, case in ipairs(contract.cases(NAME, FIXTURE)) do
    it((case.code and "rejects: " or "accepts: ") .. case.name, function()
      local reason = handlers.run(NAME, case.event).reason
      assert.are.equal(case.code, reason and reason:match("^[%w_]+"))
    end)
  end
end)
