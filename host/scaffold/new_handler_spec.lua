local contract = require("testing.contract")
local events = require("testing.events")
local handlers = require("testing.handlers")

local NAME, FIXTURE = "handlers/@name@", "@name@"

describe("handlers.@name@", function()
  -- spec/fixtures/events/@name@.json: replace its values by those of an event as it comes
  it("takes an event as it comes", function()
    local event = events.load(FIXTURE)
    local outcome = handlers.run(NAME, event)
    assert.are.equal("applied", outcome.result, outcome.reason)
    assert.is_true(events.touches(outcome, event.data.entity_id))
    -- What it keeps, once it merges:
    --   local columns, key = events.columns(outcome, "TABLE", "GROUP")
    --   assert.are.same({ COLUMN = event.data.status }, columns)
  end)

  -- All that the declaration must refuse, and what it must not.
  for _, case in ipairs(contract.cases(NAME, FIXTURE)) do
    it((case.code and "refuses: " or "takes: ") .. case.name, function()
      local reason = handlers.run(NAME, case.event).reason
      assert.are.equal(case.code, reason and reason:match("^[%w_]+"))
    end)
  end
end)
