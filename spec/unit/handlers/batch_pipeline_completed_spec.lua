local events = require("testing.events")
local handlers = require("testing.handlers")

local NAME, FIXTURE = "handlers/batch_pipeline_completed", "batch_pipeline_completed"

local function completion(status)
  local outcome = handlers.run(NAME, events.with(FIXTURE, { ["data.final_status"] = status }))
  return events.columns(outcome, "batch_results", "completion")
end

describe("handlers.batch_pipeline_completed", function()
  it("merges status, counts, run and duration", function()
    local event = events.load(FIXTURE)
    local columns, key =
      events.columns(handlers.run(NAME, event), "batch_results", "completion")
    assert.are.same({ batch_id = event.data.batch_id }, key)
    assert.are.same({
      completion_status = "COMPLETED",
      completion_successful_count = event.data.successful_essay_count,
      completion_failed_count = event.data.failed_essay_count,
      completion_correlation_id = event.data.correlation_id,
      completion_duration_s = event.data.processing_duration_seconds,
    }, columns)
  end)

  for status, own in pairs({
    completed_successfully = "COMPLETED",
    completed_with_failures = "PARTIALLY_COMPLETED",
    failed_critically = "FAILED",
    content_ingestion_failed = "FAILED",
    cancelled = "CANCELLED",
  }) do
    it("reads " .. status .. " as " .. own, function()
      assert.are.equal(own, completion(status).completion_status)
    end)
  end

  for _, status in ipairs({ "guest_class_ready", "student_validation_completed" }) do
    it("takes " .. status .. ", of one release only, for no end", function()
      assert.is_nil(completion(status).completion_status)
    end)
  end

  it("dates the completion by the block's own time", function()
    local event = events.load(FIXTURE)
    local outcome = handlers.run(NAME, event)
    assert.are.equal(event.data.metadata.timestamp, outcome.merges[1].at)
  end)

  it("refuses a second field of the platform's that is no UUID", function()
    local outcome = handlers.run(NAME, events.with(FIXTURE, { ["data.correlation_id"] = "x" }))
    assert.are.equal('wrong_type: data.correlation_id is "x", not a UUID', outcome.reason)
  end)
end)
