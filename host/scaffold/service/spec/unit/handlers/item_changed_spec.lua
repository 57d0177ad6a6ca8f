local contract = require("testing.contract")
local events = require("testing.events")
local handlers = require("testing.handlers")

local NAME, FIXTURE = "handlers/item_changed", "item_changed"

describe("handlers.item_changed", function()
  it("stores the state", function()
    local outcome = handlers.run(NAME, events.load(FIXTURE))
    local columns, key = events.columns(outcome, "items", "state")
    assert.are.same({ item_id = "item-1" }, key)
    assert.are.same({ state = "open" }, columns)
    assert.is_true(events.touches(outcome, "item-1"))
  end)

  -- All that the declaration must refuse, and what it must not.
  for _, case in ipairs(contract.cases(NAME, FIXTURE)) do
    it((case.code and "refuses: " or "takes: ") .. case.name, function()
      local reason = handlers.run(NAME, case.event).reason
      assert.are.equal(case.code, reason and reason:match("^[%w_]+"))
    end)
  end
end)
