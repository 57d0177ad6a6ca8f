local events = require("testing.events")
local fixtures = require("testing.fixtures")
local handlers = require("testing.handlers")
local json = require("json")

local NAME = "handlers/spellcheck_result"
local SUCCESS, FAILURE = "spellcheck_result.success", "spellcheck_result.failure"

local function spellcheck(event)
  local outcome = handlers.run(NAME, event)
  assert.are.equal("applied", outcome.result, outcome.reason)
  return events.columns(outcome, "essay_results", "spellcheck"), outcome
end

describe("handlers.spellcheck_result", function()
  it("merges a success", function()
    local event = events.load(SUCCESS)
    local columns, outcome = spellcheck(event)
    assert.are.equal("COMPLETED", columns.spellcheck_status)
    assert.are.equal(event.data.corrections_made, columns.spellcheck_correction_count)
    assert.are.equal(
      event.data.corrected_text_storage_id,
      columns.spellcheck_corrected_text_storage_id
    )
    local metrics = fixtures.decode(columns.spellcheck_metrics)
    assert.are.same(event.data.correction_metrics, metrics)
    local link = events.columns(outcome, "essay_results", "result_link")
    assert.are.equal(event.data.batch_id, link.result_batch_id)
    assert.is_true(events.touches(outcome, event.data.entity_id, event.data.batch_id))
  end)

  it("treats an empty text id as missing", function()
    local columns = spellcheck(events.with(SUCCESS, { ["data.corrected_text_storage_id"] = "" }))
    assert.is_nil(columns.spellcheck_corrected_text_storage_id)
  end)

  it("takes negative metrics, but none that an integer column cannot hold", function()
    local columns = spellcheck(events.with(SUCCESS, { ["data.corrections_made"] = -3 }))
    assert.are.equal(-3, columns.spellcheck_correction_count)
    local large = events.with(SUCCESS, { ["data.corrections_made"] = 2147483648 })
    assert.are.equal(
      "out_of_range: data.corrections_made is 2147483648",
      handlers.run(NAME, large).reason
    )
  end)

  it("builds an error detail without a stack trace", function()
    local event = events.load(FAILURE)
    event.data.system_metadata.error_info.stack_trace = "Traceback (most recent call last): secret"
    event.data.system_metadata.error_info.details.stack_trace = "secret"
    local text = spellcheck(event).spellcheck_error_detail
    assert.is_nil(text:find("secret", 1, true))
    assert.are.same({
      error_code = event.data.system_metadata.error_info.error_code,
      message = event.data.system_metadata.error_info.error_message,
      correlation_id = event.correlation_id,
      timestamp = event.data.timestamp:sub(1, -2),
      service = "result_aggregator_service",
      operation = "process_spellcheck_result",
      details = { essay_id = event.data.entity_id, batch_id = event.data.batch_id },
    }, fixtures.decode(text))
  end)

  it("takes an error_info of any shape", function()
    local event = events.with(FAILURE, {
      ["data.system_metadata.error_info"] = { error_code = 7, error_message = { why = "Ö" } },
    })
    local detail = fixtures.decode(spellcheck(event).spellcheck_error_detail)
    assert.are.equal("7", detail.error_code)
    assert.are.equal('{"why":"Ö"}', detail.message)
  end)

  it("gives null for a missing correlation id", function()
    local event = events.with(FAILURE, { correlation_id = json.null })
    local detail = fixtures.decode(spellcheck(event).spellcheck_error_detail)
    assert.are.equal(json.null, detail.correlation_id)
  end)

  for status, own in pairs({
    spellchecked_success = "COMPLETED",
    completed_successfully = "COMPLETED",
    spellcheck_failed = "FAILED",
    failed_critically = "FAILED",
    completed_with_failures = "FAILED",
  }) do
    it("reads the status " .. status .. " as " .. own, function()
      local columns = spellcheck(events.with(SUCCESS, { ["data.status"] = status }))
      assert.are.equal(own, columns.spellcheck_status)
    end)
  end

  it("clears an earlier error by a later success in any order", function()
    local failure, success = events.load(FAILURE), events.load(SUCCESS)
    success.data.entity_id = failure.data.entity_id
    success.data.timestamp = "2026-01-01T00:00:00Z"
    for _, order in ipairs({ { failure, success }, { success, failure } }) do
      local answer = handlers.replay({ { NAME, order[1] }, { NAME, order[2] } })
      local group = answer.rows.essay_results[1].spellcheck
      assert.are.equal("COMPLETED", group.spellcheck_status)
      assert.is_nil(group.spellcheck_error_detail)
    end
  end)
end)
