-- Cases are made of a fixture's items.
local contract = require("testing.contract")
local events = require("testing.events")

local load = events.load

describe("testing.contract.cases", function()
  after_each(function()
    events.load = load
  end)

  it("says what a fixture lacks whose list is absent or empty", function()
    for _, lists in ipairs({ { absent = true }, { {} } }) do
      events.load = function(name)
        local event = load(name)
        event.data.essay_results = lists[1]
        return event
      end
      assert.has_error(function()
        contract.cases("handlers/assessment_result", "assessment_result")
      end, "the fixture has no data.essay_results.1: give its data.essay_results an object, "
        .. "of which the cases are made")
    end
  end)
end)
