local events = require("testing.events")
local handlers = require("testing.handlers")
local json = require("json")

local NAME = "handlers/batch_phase_outcome"

local function outcome_of(event)
  local outcome = handlers.run(NAME, event)
  assert.are.equal("applied", outcome.result, outcome.reason)
  return events.columns(outcome, "phase_outcomes", "outcome")
end

describe("handlers.batch_phase_outcome", function()
  for _, fixture in ipairs({ "batch_phase_outcome.first", "batch_phase_outcome.current" }) do
    it("merges both lists of " .. fixture, function()
      local event = events.load(fixture)
      local columns, key = outcome_of(event)
      assert.are.equal(event.data.batch_id, key.batch_id)
      assert.are.equal("spellcheck", key.phase_name)
      assert.are.equal(#event.data.processed_essays, #columns.processed_ids)
      assert.are.equal(event.data.processed_essays[1].essay_id, columns.processed_ids[1])
      assert.are.equal(event.data.failed_essay_ids[1], columns.failed_ids[1])
      assert.are.equal("PARTIALLY_COMPLETED", columns.result_status)
    end)
  end

  it("drops the cached responses of the batch and of every essay that it names", function()
    local event = events.with("batch_phase_outcome.current", {
      ["data.processed_essays"] = { { essay_id = "e-1", text_storage_id = "t" } },
      ["data.failed_essay_ids"] = { "e-2" },
    })
    local outcome = handlers.run(NAME, event)
    local batch_id = event.data.batch_id
    assert.is_true(events.touches(outcome, batch_id, "spellcheck", "e-1", "e-2"))
  end)

  it("dates an outcome by the envelope: the data carries no time", function()
    local outcome = handlers.run(NAME, events.load("batch_phase_outcome.first"))
    assert.are.equal("2025-06-28T08:00:54.509303Z", outcome.merges[1].at)
  end)

  it("leaves the end open for a status that is none", function()
    local event = events.with("batch_phase_outcome.current", {
      ["data.phase_status"] = "processing_pipelines",
    })
    local columns = outcome_of(event)
    assert.are.equal("processing_pipelines", columns.phase_status)
    assert.is_nil(columns.result_status)
  end)

  it("takes empty lists", function()
    local event = events.with("batch_phase_outcome.current", {
      ["data.processed_essays"] = json.array({}),
      ["data.failed_essay_ids"] = json.array({}),
    })
    local columns = outcome_of(event)
    assert.are.same({ {}, {} }, { columns.processed_ids, columns.failed_ids })
  end)

  it("is one row for a repeated outcome, with the earliest time", function()
    local first = events.load("batch_phase_outcome.current")
    local again = events.with("batch_phase_outcome.current", {
      event_id = "00000000-0000-4000-8000-000000000001",
      event_timestamp = "2026-01-01T00:00:00Z",
    })
    local rows = handlers.replay({ { NAME, again }, { NAME, first } }).rows.phase_outcomes
    assert.are.equal(1, #rows)
    assert.are.equal(first.event_id, rows[1].outcome.event_id)
  end)

  it("is the run's of the data, else of the envelope, in one spelling", function()
    local run = "8f2df760-ae9c-408b-ad7c-50487ca07386"
    local event = events.with("batch_phase_outcome.first", {
      correlation_id = "00000000-0000-4000-8000-000000000001",
      ["data.correlation_id"] = run:upper(),
    })
    assert.are.equal(run, outcome_of(event).correlation_id)
    event = events.with("batch_phase_outcome.first", {
      correlation_id = run,
      ["data.correlation_id"] = json.null,
    })
    assert.are.equal(run, outcome_of(event).correlation_id)
    event = events.with("batch_phase_outcome.first", {
      correlation_id = json.null,
      ["data.correlation_id"] = json.null,
    })
    assert.is_nil(outcome_of(event).correlation_id)
  end)

  it("is two rows where two runs say the same", function()
    local one = events.load("batch_phase_outcome.current")
    local other = events.with("batch_phase_outcome.current", {
      event_id = "00000000-0000-4000-8000-000000000001",
      ["data.correlation_id"] = "00000000-0000-4000-8000-000000000002",
    })
    local rows = handlers.replay({ { NAME, one }, { NAME, other } }).rows.phase_outcomes
    assert.are.equal(2, #rows)
  end)

  it("is two rows for two outcomes of a phase", function()
    local one = events.load("batch_phase_outcome.current")
    local other = events.with("batch_phase_outcome.current", {
      event_id = "00000000-0000-4000-8000-000000000001",
      ["data.failed_essay_ids"] = json.array({}),
    })
    local rows = handlers.replay({ { NAME, one }, { NAME, other } }).rows.phase_outcomes
    assert.are.equal(2, #rows)
  end)
end)
