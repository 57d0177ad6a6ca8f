local events = require("testing.events")
local handlers = require("testing.handlers")

local SLOT = "handlers/essay_slot_assigned"

describe("testing.events", function()
  it("reads the records of a file for the handlers that declare their topics", function()
    local recorded = events.recorded("samples/current.jsonl", { SLOT })
    assert.is_true(#recorded > 0)
    for _, pair in ipairs(recorded) do
      assert.are.equal(SLOT, pair[1])
      assert.are.equal("string", type(pair[2].event_id))
    end
    local replay = handlers.replay(recorded)
    assert.are.equal(#recorded, #replay.outcomes)
    assert.are.equal("applied", replay.outcomes[1].result)
  end)

  it("passes over records of other topics", function()
    assert.are.same({}, events.recorded("samples/current.jsonl", {}))
  end)
end)
