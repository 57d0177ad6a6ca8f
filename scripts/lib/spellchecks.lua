--- Merges one spell-check result; both releases end here.
-- @module lib.spellchecks

local error_details = require("lib.error_details")

local M = {}

--- @tparam table event essay_id, status, corrections, corrected_text_id, batch_id, metrics, errors
-- @tparam table view
function M.merge(event, view)
  local failed = event.status == "FAILED"
  view.essay_results:merge(event.essay_id, "spellcheck", {
    spellcheck_status = event.status,
    spellcheck_correction_count = event.corrections,
    spellcheck_corrected_text_storage_id = event.corrected_text_id,
    spellcheck_metrics = event.metrics,
    spellcheck_error_detail = failed
        and error_details.build(event, "process_spellcheck_result", { essay_id = event.essay_id })
      or nil,
  })
  view.essay_results:merge(event.essay_id, "first_result", { first_result_at = event.time })
  if event.batch_id and event.batch_id ~= "" then
    view.essay_results:merge(event.essay_id, "result_link", { result_batch_id = event.batch_id })
    view:touch(event.batch_id)
  end
end

return M
