--- Merges a spell-check result of either release.

local error_details = require("lib.error_details")

local M = {}

local function not_empty(text)
  return text ~= "" and text or nil
end

--- Merges the result, and links the essay to its batch if the event names one.
---@param event handlers.spellcheck_result.Event|handlers.spellcheck_completed_first.Event
---@param view View
---@param current { metrics?: string, error_code?: string } fields of the current release only
function M.merge(event, view, current)
  local batch_id = not_empty(event.batch_id)
  local detail
  if event.status == "FAILED" and event.error_info and event.error_info ~= "{}" then
    local ids = { essay_id = event.essay_id, batch_id = batch_id }
    detail = error_details.build(event, "process_spellcheck_result", ids, current.error_code)
  end
  view.essay_results:merge(event.essay_id, "spellcheck", {
    spellcheck_status = event.status,
    spellcheck_correction_count = event.corrections,
    spellcheck_corrected_text_storage_id = not_empty(event.corrected_text_id),
    spellcheck_metrics = current.metrics,
    spellcheck_error_detail = detail,
  })
  view.essay_results:merge(event.essay_id, "first_result", { first_result_at = event.time })
  if batch_id then
    view.essay_results:merge(event.essay_id, "result_link", { result_batch_id = batch_id })
    view:touch(batch_id)
  end
end

return M
