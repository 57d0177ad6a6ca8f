local events = require("testing.events")
local handlers = require("testing.handlers")

local NAME, FIXTURE = "handlers/essay_slot_assigned", "essay_slot_assigned"

describe("handlers.essay_slot_assigned", function()
  it("merges the file and the link to the batch", function()
    local event = events.load(FIXTURE)
    local outcome = handlers.run(NAME, event)
    local slot, key = events.columns(outcome, "essay_results", "slot")
    assert.are.same({ essay_id = event.data.essay_id }, key)
    assert.are.same({
      filename = event.data.original_file_name,
      file_upload_id = event.data.file_upload_id,
      original_text_storage_id = event.data.text_storage_id,
    }, slot)
    local link = events.columns(outcome, "essay_results", "slot_link")
    assert.are.same({ slot_batch_id = event.data.batch_id }, link)
    assert.is_true(events.touches(outcome, event.data.essay_id, event.data.batch_id))
  end)

  it("accepts a placeholder as the batch", function()
    local event = events.with(FIXTURE, { ["data.batch_id"] = "guest-pending" })
    local outcome = handlers.run(NAME, event)
    local link = events.columns(outcome, "essay_results", "slot_link")
    assert.are.equal("guest-pending", link.slot_batch_id)
  end)

  it("keeps the file where the batch is an empty text, without a link", function()
    local outcome = handlers.run(NAME, events.with(FIXTURE, { ["data.batch_id"] = "" }))
    assert.is_table(events.columns(outcome, "essay_results", "slot"))
    assert.is_nil(events.columns(outcome, "essay_results", "slot_link"))
  end)

  it("loses no file by a long name", function()
    local long = ("å"):rep(5000)
    local outcome = handlers.run(NAME, events.with(FIXTURE, { ["data.original_file_name"] = long }))
    assert.are.equal(long, events.columns(outcome, "essay_results", "slot").filename)
  end)

  it("lets the latest assignment win in any order", function()
    local early, late = events.load(FIXTURE), events.load(FIXTURE)
    late.event_id = "00000000-0000-4000-8000-000000000001"
    late.data.timestamp = "2025-06-29T08:00:00Z"
    late.data.original_file_name = "late.txt"
    for _, order in ipairs({ { early, late }, { late, early } }) do
      local answer = handlers.replay({ { NAME, order[1] }, { NAME, order[2] } })
      assert.are.equal("late.txt", answer.rows.essay_results[1].slot.filename)
    end
  end)

  it("breaks a tie of times by the event id", function()
    local low, high = events.load(FIXTURE), events.load(FIXTURE)
    low.event_id = "00000000-0000-4000-8000-000000000001"
    high.event_id = "F0000000-0000-4000-8000-000000000001"
    high.data.original_file_name = "high.txt"
    local answer = handlers.replay({ { NAME, high }, { NAME, low } })
    assert.are.equal("high.txt", answer.rows.essay_results[1].slot.filename)
  end)
end)
