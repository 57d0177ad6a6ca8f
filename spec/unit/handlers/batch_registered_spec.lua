local events = require("testing.events")
local handlers = require("testing.handlers")
local json = require("json")

local NAME = "handlers/batch_registered"
local FIRST, CURRENT = "batch_registered.first", "batch_registered.current"

describe("handlers.batch_registered", function()
  it("takes a batch of the current release", function()
    local event = events.load(CURRENT)
    local outcome = handlers.run(NAME, event)
    local columns, key = events.columns(outcome, "batch_results", "registration")
    assert.are.same({ batch_id = event.data.entity_id }, key)
    local ids = event.data.essay_ids
    assert.is_true(events.touches(outcome, event.data.entity_id, ids[1], ids[2],
      event.data.user_id))
    assert.are.same({
      user_id = "teacher-head-0000",
      essay_count = 5,
      essay_ids = { event.data.essay_ids[1], event.data.essay_ids[2] },
      first_release = false,
    }, columns)
  end)

  it("takes a batch of the first release and says so", function()
    local event = events.load(FIRST)
    local columns, key = events.columns(handlers.run(NAME, event), "batch_results", "registration")
    assert.are.same({ batch_id = event.data.batch_id }, key)
    assert.is_true(columns.first_release)
  end)

  it("dates the registration by the block's own time, not by the envelope's", function()
    local outcome = handlers.run(NAME, events.load(CURRENT))
    assert.are.equal("2025-06-28T08:00:18.023860Z", outcome.merges[1].at)
    assert.are.equal("4edf6b48-0a53-4213-b176-313efe13d0b8", outcome.merges[1].event_id)
  end)

  it("refuses a batch of the first release without its instructions", function()
    local event = events.with(FIRST, { ["data.essay_instructions"] = json.null })
    local outcome = handlers.run(NAME, event)
    assert.are.equal("missing_field: data.essay_instructions is missing", outcome.reason)
  end)

  it("refuses one that names no batch in either spelling", function()
    local event = events.load(FIRST)
    event.data.batch_id = nil
    assert.are.equal(
      "missing_field: data.entity_id or data.batch_id is missing",
      handlers.run(NAME, event).reason
    )
  end)

  it("stores the prompt's reference unchanged", function()
    local place = { storage_id = "prompt-1", path = "" }
    local reference = { references = { student_prompt_text = place } }
    local event = events.with(CURRENT, { ["data.student_prompt_ref"] = reference })
    local columns = events.columns(handlers.run(NAME, event), "batch_results", "registration")
    assert.are.equal(json.encode(reference), columns.student_prompt_ref)
  end)

  it("takes a batch without essays", function()
    local event = events.with(CURRENT, { ["data.essay_ids"] = json.array({}) })
    local columns = events.columns(handlers.run(NAME, event), "batch_results", "registration")
    assert.are.same({}, columns.essay_ids)
  end)

  it("stores text unchanged", function()
    local event = events.with(CURRENT, { ["data.user_id"] = 'Åsa "😀" \\ {a,b}' })
    event.data.essay_ids[1] = 'quote " comma , brace } backslash \\'
    local columns = events.columns(handlers.run(NAME, event), "batch_results", "registration")
    assert.are.equal('Åsa "😀" \\ {a,b}', columns.user_id)
    assert.are.equal('quote " comma , brace } backslash \\', columns.essay_ids[1])
  end)

  it("keeps the earliest of two registrations in any order", function()
    local early, late = events.load(CURRENT), events.load(CURRENT)
    late.event_id = "00000000-0000-4000-8000-000000000001"
    late.data.metadata.timestamp = "2025-06-29T08:00:00Z"
    late.data.user_id = "another"
    for _, order in ipairs({ { early, late }, { late, early } }) do
      local answer = handlers.replay({ { NAME, order[1] }, { NAME, order[2] } })
      assert.are.equal(1, #answer.rows.batch_results)
      assert.are.equal("teacher-head-0000", answer.rows.batch_results[1].registration.user_id)
    end
  end)
end)
