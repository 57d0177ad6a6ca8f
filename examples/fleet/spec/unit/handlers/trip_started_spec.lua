local contract = require("testing.contract")
local events = require("testing.events")
local handlers = require("testing.handlers")

local NAME, FIXTURE = "handlers/trip_started", "trip_started"

describe("handlers.trip_started", function()
  it("stores the start, and the vehicle and the driver of the trip", function()
    local outcome = handlers.run(NAME, events.load(FIXTURE))
    local columns, key = events.columns(outcome, "trips", "start")
    assert.are.same({ trip_id = "trip-1" }, key)
    assert.are.same({ vehicle_id = "truck-01", driver_id = "driver-7" }, columns)
  end)

  it("drops the cached response of the vehicle, which names the trip", function()
    local outcome = handlers.run(NAME, events.load(FIXTURE))
    assert.is_true(events.touches(outcome, "trip-1", "truck-01"))
  end)

  for _, case in ipairs(contract.cases(NAME, FIXTURE)) do
    it((case.code and "rejects: " or "accepts: ") .. case.name, function()
      local reason = handlers.run(NAME, case.event).reason
      assert.are.equal(case.code, reason and reason:match("^[%w_]+"))
    end)
  end
end)
