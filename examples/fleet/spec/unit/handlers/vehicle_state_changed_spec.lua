local contract = require("testing.contract")
local events = require("testing.events")
local handlers = require("testing.handlers")

local NAME, FIXTURE = "handlers/vehicle_state_changed", "vehicle_state_changed"

describe("handlers.vehicle_state_changed", function()
  it("stores the state and the odometer", function()
    local outcome = handlers.run(NAME, events.load(FIXTURE))
    local columns, key = events.columns(outcome, "vehicles", "state")
    assert.are.same({ vehicle_id = "truck-01" }, key)
    assert.are.same({ state = "driving", odometer_km = 120345.25 }, columns)
    assert.is_true(events.touches(outcome, "truck-01"))
  end)

  for _, case in ipairs(contract.cases(NAME, FIXTURE)) do
    it((case.code and "rejects: " or "accepts: ") .. case.name, function()
      local reason = handlers.run(NAME, case.event).reason
      assert.are.equal(case.code, reason and reason:match("^[%w_]+"))
    end)
  end
end)
