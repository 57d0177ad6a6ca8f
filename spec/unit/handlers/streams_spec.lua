-- The sample streams of both releases: every sound message is applied or, thin, ignored.
local fixtures = require("testing.fixtures")
local handlers = require("testing.handlers")

local NAMES = {
  "handlers/assessment_result",
  "handlers/batch_phase_outcome",
  "handlers/batch_pipeline_completed",
  "handlers/batch_registered",
  "handlers/cj_assessment_completed",
  "handlers/essay_slot_assigned",
  "handlers/spellcheck_completed_first",
  "handlers/spellcheck_result",
}

local HANDLER_OF = {}
for _, name in ipairs(NAMES) do
  for _, topic in ipairs(require(name).topics) do
    HANDLER_OF[topic] = name
  end
end

local function results(stream)
  local counts = { applied = 0, ignored = 0, rejected = 0 }
  for _, line in ipairs(fixtures.lines("samples/" .. stream .. ".jsonl")) do
    local message = fixtures.decode(line)
    local name = HANDLER_OF[message.topic]
    if name and message.value and not message.poison then
      local outcome = handlers.run(name, message.value)
      counts[outcome.result] = counts[outcome.result] + 1
      assert.are_not.equal("rejected", outcome.result, outcome.reason)
    end
  end
  return counts
end

describe("the sample stream", function()
  it("first is applied whole", function()
    assert.are.same({ applied = 134, ignored = 0, rejected = 0 }, results("first"))
  end)

  it("first-unlinked is applied whole", function()
    assert.are.same({ applied = 54, ignored = 0, rejected = 0 }, results("first-unlinked"))
  end)

  it("current is applied, but for the thin judgements", function()
    assert.are.same({ applied = 223, ignored = 9, rejected = 0 }, results("current"))
  end)

  it("second-run is applied, but for what is malformed or thin", function()
    assert.is_true(results("second-run").applied > 150)
  end)

  it("current-hard is applied, but for what is malformed or thin", function()
    local counts = results("current-hard")
    assert.is_true(counts.applied > 150)
    assert.are.equal(7, counts.ignored)
  end)
end)
