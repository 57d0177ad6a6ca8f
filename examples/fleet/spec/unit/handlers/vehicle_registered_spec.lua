local contract = require("testing.contract")
local events = require("testing.events")
local handlers = require("testing.handlers")

local NAME, FIXTURE = "handlers/vehicle_registered", "vehicle_registered"

describe("handlers.vehicle_registered", function()
  it("stores the registration", function()
    local outcome = handlers.run(NAME, events.load(FIXTURE))
    local columns, key = events.columns(outcome, "vehicles", "registration")
    assert.are.same({ vehicle_id = "truck-01" }, key)
    assert.are.same({ plate = "FLT 101", model = "Scania P 280", depot_id = "south" }, columns)
  end)

  it("drops the cached responses of the vehicle and of its depot", function()
    local outcome = handlers.run(NAME, events.load(FIXTURE))
    assert.is_true(events.touches(outcome, "truck-01", "depot:south"))
  end)

  it("lets the latest registration win in any order", function()
    local first = events.load(FIXTURE)
    local moved = events.with(FIXTURE, {
      id = "00000000-0000-4000-8000-000000000001",
      time = "2026-03-03T08:00:00Z",
      ["data.depot_id"] = "north",
    })
    for _, order in ipairs({ { first, moved }, { moved, first } }) do
      local replay = handlers.replay({ { NAME, order[1] }, { NAME, order[2] } })
      assert.are.equal("north", replay.rows.vehicles[1].registration.depot_id)
    end
  end)

  for _, case in ipairs(contract.cases(NAME, FIXTURE)) do
    it((case.code and "rejects: " or "accepts: ") .. case.name, function()
      local reason = handlers.run(NAME, case.event).reason
      assert.are.equal(case.code, reason and reason:match("^[%w_]+"))
    end)
  end
end)
