local contract = require("testing.contract")
local events = require("testing.events")
local handlers = require("testing.handlers")
local json = require("json")

local NAME, FIXTURE = "handlers/trip_started", "trip_started"
local TRIP = "0b7c1d52-3f0e-4c4a-9a57-2f6a6f1f4a01"

describe("handlers.trip_started", function()
  it("stores the start, and the vehicle and the driver of the trip", function()
    local outcome = handlers.run(NAME, events.load(FIXTURE))
    local columns, key = events.columns(outcome, "trips", "start")
    assert.are.same({ trip_id = TRIP }, key)
    assert.are.same({ vehicle_id = "truck-01", driver_id = "driver-7" }, columns)
  end)

  it("keeps all drivers of the vehicle", function()
    local other = events.with(FIXTURE, {
      id = "00000000-0000-4000-8000-000000000001",
      ["data.trip_id"] = "00000000-0000-4000-8000-000000000002",
      ["data.driver_id"] = "driver-3",
    })
    local rows = handlers.replay({ { NAME, events.load(FIXTURE) }, { NAME, other } }).rows
    assert.are.same({ "driver-3", "driver-7" }, rows.vehicles[1].drivers.driver_ids)
  end)

  it("drops the cached response of a vehicle without a driver", function()
    local outcome = handlers.run(NAME, events.with(FIXTURE, { ["data.driver_id"] = json.null }))
    assert.is_true(events.touches(outcome, TRIP, "truck-01"))
  end)

  it("drops the cached response of the vehicle, which names the trip", function()
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
