--- The pipeline of a batch completed (current release).
local contracts = require("lib.contracts")
local statuses = require("lib.statuses")

---@type handlers.batch_pipeline_completed
return {
  topics = { "huleedu.batch.pipeline.completed.v1" },
  time = "data.metadata.timestamp",
  fields = contracts.with_block("data.metadata", {
    batch_id = contracts.id("data.batch_id"),
    completed_phases = contracts.checked("data.completed_phases", { type = "strings" }),
    final_status = { "data.final_status", enum = statuses.BATCH },
    duration_s = { "data.processing_duration_seconds", type = "number" },
    successful = contracts.int32("data.successful_essay_count"),
    failed = contracts.int32("data.failed_essay_count"),
    correlation = { "data.correlation_id", type = "uuid" },
  }),
  handle = function(event, view)
    view.batch_results:merge(event.batch_id, "completion", {
      completion_status = statuses.FINAL[event.final_status],
      completion_successful_count = event.successful,
      completion_failed_count = event.failed,
      completion_correlation_id = event.correlation,
      completion_duration_s = event.duration_s,
    })
  end,
}
