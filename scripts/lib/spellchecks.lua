--- What spell-check results of both releases have in common.

local error_details = require("lib.error_details")

local M = {}

--- Makes an absent id of an empty one.
---@param text? string
---@return string? text
function M.not_empty(text)
  return text ~= "" and text or nil
end

--- Builds the error detail of a result that failed.
---@param event handlers.spellcheck_result.Event|handlers.spellcheck_completed_first.Event
---@param error_code? string of the current release only
---@return string? json nil: it did not fail, or says nothing of the error
function M.error_detail(event, error_code)
  if event.status ~= "FAILED" or not event.error_info or event.error_info == "{}" then
    return nil
  end
  local ids = { essay_id = event.essay_id, batch_id = M.not_empty(event.batch_id) }
  return error_details.build(event, "process_spellcheck_result", ids, error_code)
end

--- Merges the time of the result, and links the essay to its batch if the event names one.
---@param event handlers.spellcheck_result.Event|handlers.spellcheck_completed_first.Event
---@param view View
function M.link(event, view)
  view.essay_results:merge(event.essay_id, "first_result", { first_result_at = event.time })
  local batch_id = M.not_empty(event.batch_id)
  if batch_id then
    view.essay_results:merge(event.essay_id, "result_link", { result_batch_id = event.batch_id })
    view:touch(batch_id)
  end
end

return M
