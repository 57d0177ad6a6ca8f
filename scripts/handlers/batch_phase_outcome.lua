--- A phase of a batch ended: lists the processed and the failed essays.
local contracts = require("lib.contracts")
local statuses = require("lib.statuses")

---@type handlers.batch_phase_outcome
return {
  -- one spelling per release
  topics = { "huleedu.els.batch.phase.outcome.v1", "huleedu.els.batch_phase.outcome.v1" },
  fields = {
    batch_id = contracts.id("data.batch_id"),
    phase_name = { "data.phase_name", enum = statuses.PHASE },
    phase_status = { "data.phase_status", enum = statuses.BATCH },
    processed = {
      "data.processed_essays",
      type = "list",
      fields = {
        essay_id = contracts.id("essay_id"),
        text_storage_id = contracts.checked("text_storage_id"),
      },
    },
    failed_ids = { "data.failed_essay_ids", type = "strings", min = 1 },
    -- identifies the run; optional in the first release
    correlation = { "data.correlation_id", "correlation_id", type = "uuid", optional = true },
  },
  handle = function(event, view)
    local processed_ids = {}
    for i, essay in ipairs(event.processed) do
      processed_ids[i] = essay.essay_id
      view:touch(essay.essay_id)
    end
    for _, essay_id in ipairs(event.failed_ids) do
      view:touch(essay_id)
    end
    view.phase_outcomes:merge({ event.batch_id, event.phase_name }, "outcome", {
      correlation_id = event.correlation,
      phase_status = event.phase_status,
      result_status = statuses.FINAL[event.phase_status],
      processed_ids = processed_ids,
      failed_ids = event.failed_ids,
    })
  end,
}
