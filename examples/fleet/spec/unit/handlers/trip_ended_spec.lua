local contract = require("testing.contract")
local events = require("testing.events")
local handlers = require("testing.handlers")

local NAME, FIXTURE = "handlers/trip_ended", "trip_ended"
local TRIP = "0b7c1d52-3f0e-4c4a-9a57-2f6a6f1f4a01"

describe("handlers.trip_ended", function()
  it("stores the end and the distance of the trip", function()
    local outcome = handlers.run(NAME, events.load(FIXTURE))
    local columns, key = events.columns(outcome, "trips", "finish")
    assert.are.same({ trip_id = TRIP }, key)
    assert.are.same({ distance_km = 12.375 }, columns)
  end)

  it("drops the cached response of the vehicle, which named the trip", function()
    local outcome = handlers.run(NAME, events.load(FIXTURE))
    assert.is_true(events.touches(outcome, TRIP, "truck-01"))
  end)

  for _, case in ipairs(contract.cases(NAME, FIXTURE)) do
    it((case.code and "rejects: " or "accepts: ") .. case.name, function()
      local reason = handlers.run(NAME, case.event).reason
      assert.are.equal(case.code, reason and reason:match("^[%w_]+"))
    end)
  end
end)
