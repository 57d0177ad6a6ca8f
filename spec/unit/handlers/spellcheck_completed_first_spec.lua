local events = require("testing.events")
local fixtures = require("testing.fixtures")
local handlers = require("testing.handlers")
local json = require("json")

local NAME = "handlers/spellcheck_completed_first"
local SUCCESS, FAILURE = "spellcheck_first.success", "spellcheck_first.failure"
local CORRECTED = "data.storage_metadata.references.corrected_text"

local function spellcheck(event)
  local outcome = handlers.run(NAME, event)
  assert.are.equal("applied", outcome.result, outcome.reason)
  return events.columns(outcome, "essay_results", "spellcheck"), outcome
end

describe("handlers.spellcheck_completed_first", function()
  it("merges a success, its first time and its link", function()
    local event = events.load(SUCCESS)
    local columns, outcome = spellcheck(event)
    assert.are.equal("COMPLETED", columns.spellcheck_status)
    assert.are.equal(event.data.corrections_made, columns.spellcheck_correction_count)
    assert.is_nil(columns.spellcheck_error_detail)
    local first = events.columns(outcome, "essay_results", "first_result")
    assert.are.equal(outcome.merges[1].at, first.first_result_at)
    local link = events.columns(outcome, "essay_results", "result_link")
    assert.are.same({ result_batch_id = event.data.entity_ref.parent_id }, link)
  end)

  it("finds the corrected text under default", function()
    local columns = spellcheck(events.with(SUCCESS, { [CORRECTED] = { default = "corr-1" } }))
    assert.are.equal("corr-1", columns.spellcheck_corrected_text_storage_id)
  end)

  it("finds the corrected text under storage_id, whatever else is there", function()
    local place = { path = "a/b", storage_id = "corr-2" }
    local columns = spellcheck(events.with(SUCCESS, { [CORRECTED] = place }))
    assert.are.equal("corr-2", columns.spellcheck_corrected_text_storage_id)
  end)

  it("takes a success without storage", function()
    local columns = spellcheck(events.with(SUCCESS, { ["data.storage_metadata"] = json.null }))
    assert.is_nil(columns.spellcheck_corrected_text_storage_id)
  end)

  it("takes a result without its batch, as the producers send it", function()
    local _, outcome = spellcheck(events.load("spellcheck_first.unlinked"))
    assert.is_nil(events.columns(outcome, "essay_results", "result_link"))
  end)

  it("takes the batch from the entity reference where the block has none", function()
    local event = events.with(SUCCESS, { ["data.system_metadata.entity.parent_id"] = json.null })
    event.data.entity_ref.parent_id = "batch-7"
    local _, outcome = spellcheck(event)
    local link = events.columns(outcome, "essay_results", "result_link")
    assert.are.equal("batch-7", link.result_batch_id)
  end)

  it("treats an empty batch as missing", function()
    local event = events.with(SUCCESS, { ["data.system_metadata.entity.parent_id"] = "" })
    local _, outcome = spellcheck(event)
    assert.is_nil(events.columns(outcome, "essay_results", "result_link"))
  end)

  for _, key in ipairs({ "fetch_error", "content_error", "unhandled_error" }) do
    it("carries the message of " .. key, function()
      local event = events.with(FAILURE, { ["data.system_metadata.error_info"] = { [key] = "Ö!" } })
      local columns = spellcheck(event)
      assert.are.equal("FAILED", columns.spellcheck_status)
      local detail = fixtures.decode(columns.spellcheck_error_detail)
      assert.are.equal("Ö!", detail.message)
      assert.are.equal("SPELLCHECK_SERVICE_ERROR", detail.error_code)
    end)
  end

  it("tells a reason that is no text as its JSON", function()
    for reason, message in pairs({ [404] = "404", [true] = "true" }) do
      local event = events.with(FAILURE, {
        ["data.system_metadata.error_info"] = { fetch_error = reason, content_error = "later" },
      })
      local detail = fixtures.decode(spellcheck(event).spellcheck_error_detail)
      assert.are.equal(message, detail.message)
    end
    local event = events.with(SUCCESS, {
      ["data.system_metadata.error_info"] = { fetch_error = { "x" } },
    })
    assert.are.equal("COMPLETED", spellcheck(event).spellcheck_status)
  end)

  it("makes up no error for a failure that states none", function()
    for _, info in ipairs({ json.null, json.decode("{}") }) do
      local event = events.with(FAILURE, { ["data.system_metadata.error_info"] = info })
      local columns = spellcheck(event)
      assert.are.equal("FAILED", columns.spellcheck_status)
      assert.is_nil(columns.spellcheck_error_detail)
    end
  end)

  it("has an error detail for a reason under another name", function()
    local event = events.with(FAILURE, { ["data.system_metadata.error_info"] = { other = "x" } })
    local detail = fixtures.decode(spellcheck(event).spellcheck_error_detail)
    assert.are.equal("Spell check failed", detail.message)
  end)
end)
