-- Every declared field of every handler: what is missing, mistyped, unknown or out of range is
-- refused with the reason, in events of both releases; what is unknown is ignored at every level.
local contract = require("testing.contract")
local events = require("testing.events")
local handlers = require("testing.handlers")

local FIXTURES = {
  ["handlers/batch_registered"] = { "batch_registered.first", "batch_registered.current" },
  ["handlers/essay_slot_assigned"] = { "essay_slot_assigned" },
  ["handlers/spellcheck_completed_first"] = {
    "spellcheck_first.success",
    "spellcheck_first.failure",
    "spellcheck_first.unlinked",
  },
  ["handlers/spellcheck_result"] = { "spellcheck_result.success", "spellcheck_result.failure" },
  ["handlers/batch_phase_outcome"] = { "batch_phase_outcome.first", "batch_phase_outcome.current" },
  ["handlers/cj_assessment_completed"] = { "cj_assessment_completed.first" },
  ["handlers/assessment_result"] = { "assessment_result" },
  ["handlers/batch_pipeline_completed"] = { "batch_pipeline_completed" },
}

-- Removing these says something else: which release it is, or that it is thin.
local MEANT = {
  ["data.batch_id is missing"] = "handlers/batch_registered",
  ["data.batch_id is null"] = "handlers/batch_registered",
  ["data.entity_ref.entity_id is missing"] = "handlers/cj_assessment_completed",
  ["data.entity_ref.entity_id is null"] = "handlers/cj_assessment_completed",
}

local function expect(outcome, case)
  if not case.code then
    assert.are_not.equal("rejected", outcome.result, outcome.reason)
    return
  end
  assert.are.equal("rejected", outcome.result)
  assert.are.equal(case.code, outcome.reason:match("^[%w_]+"))
  local path = case.path:match("^(.-)%.1%.") or case.path -- of an item: of its list
  assert.is_truthy(outcome.reason:find(path, 1, true), outcome.reason)
end

for name, fixtures in pairs(FIXTURES) do
  for _, fixture in ipairs(fixtures) do
    describe(name .. " with " .. fixture, function()
      it("applies the event as it is", function()
        local outcome = handlers.run(name, events.load(fixture))
        assert.are.equal("applied", outcome.result, outcome.reason)
        assert.is_true(#outcome.merges > 0)
      end)

      it("ignores unknown fields at every level", function()
        local plain = handlers.run(name, events.load(fixture))
        local extra = handlers.run(name, events.add_unknown(events.load(fixture)))
        assert.are.equal("applied", extra.result, extra.reason)
        assert.are.equal(#plain.merges, #extra.merges)
      end)

      for _, case in ipairs(contract.cases(name, fixture)) do
        if MEANT[case.name] ~= name then
          it((case.code and "refuses: " or "takes: ") .. case.name, function()
            expect(handlers.run(name, case.event), case)
          end)
        end
      end
    end)
  end
end
