--- The pipeline of a batch is through (current release).
local statuses = require("lib.statuses")

return {
  topics = { "huleedu.batch.pipeline.completed.v1" },
  time = "data.metadata.timestamp",
  fields = {
    batch_id = "data.batch_id",
    completed_phases = { "data.completed_phases", type = "strings" },
    final_status = { "data.final_status", enum = statuses.BATCH },
    duration_s = { "data.processing_duration_seconds", type = "number" },
    successful = {
      "data.successful_essay_count",
      type = "integer",
      min = -2147483648,
      max = 2147483647,
    },
    failed = { "data.failed_essay_count", type = "integer", min = -2147483648, max = 2147483647 },
  },
  handle = function(event, view)
    view.batch_results:merge(event.batch_id, "completion", {
      completion_status = statuses.FINAL[event.final_status],
      completion_successful_count = event.successful,
      completion_failed_count = event.failed,
    })
  end,
}
