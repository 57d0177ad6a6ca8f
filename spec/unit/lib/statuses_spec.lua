local statuses = require("lib.statuses")

-- word -> this service's own, of the client's, the platform's and the own vocabulary
local OWN = {
  pending_content = "REGISTERED",
  awaiting_content_validation = "REGISTERED",
  awaiting_pipeline_configuration = "REGISTERED",
  REGISTERED = "REGISTERED",
  processing = "PROCESSING",
  processing_pipelines = "PROCESSING",
  awaiting_student_validation = "PROCESSING",
  student_validation_completed = "PROCESSING",
  validation_timeout_processed = "PROCESSING",
  guest_class_ready = "PROCESSING",
  PROCESSING = "PROCESSING",
  completed_with_failures = "PARTIALLY_COMPLETED",
  PARTIALLY_COMPLETED = "PARTIALLY_COMPLETED",
  completed_successfully = "COMPLETED",
  COMPLETED = "COMPLETED",
  failed = "FAILED",
  failed_critically = "FAILED",
  content_ingestion_failed = "FAILED",
  FAILED = "FAILED",
  cancelled = "CANCELLED",
  CANCELLED = "CANCELLED",
}

describe("lib.statuses", function()
  for word, own in pairs(OWN) do
    it("filters " .. word .. " as " .. own, function()
      assert.are.same({ own }, (statuses.parse_filter(word)))
    end)
  end

  for _, word in ipairs({ "ready", "ready_for_pipeline_execution" }) do
    it("finds nothing for " .. word .. ", a status that no batch has", function()
      assert.are.same({}, (statuses.parse_filter(word)))
    end)
  end

  it("takes every status of the platform in a filter", function()
    for word in pairs(statuses.BATCH) do
      assert.is_table(statuses.parse_filter(word), word)
    end
  end)

  it("takes several words, of several vocabularies", function()
    local list = statuses.parse_filter("ready,failed_critically,COMPLETED")
    assert.are.same({ "FAILED", "COMPLETED" }, list)
  end)

  it("treats a missing or empty text as no filter", function()
    assert.are.same({}, { statuses.parse_filter(nil) })
    assert.are.same({}, { statuses.parse_filter("") })
  end)

  it("names the word that is no status", function()
    local unknown_of = {
      done = "done",
      ["failed,Done"] = "Done",
      [" failed"] = " failed",
      [","] = "",
      ["ready,"] = "",
    }
    for text, unknown in pairs(unknown_of) do
      local list, word = statuses.parse_filter(text)
      assert.is_nil(list)
      assert.are.equal(unknown, word)
    end
  end)

  it("reads a result as a success exactly where its word says so", function()
    for word, own in pairs(statuses.RESULT) do
      assert.are.equal(word:find("success", 1, true) and "COMPLETED" or "FAILED", own)
    end
    assert.are.equal("COMPLETED", statuses.RESULT.spellchecked_success)
    assert.are.equal("FAILED", statuses.RESULT.content_ingester)
  end)
end)
