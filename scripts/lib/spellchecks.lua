--- What spell-check results of both releases have in common.

local error_details = require("lib.error_details")
local json = require("json")

local M = {}

--- Makes an absent id of an empty one.
---@param text? string
---@return string? text
function M.not_empty(text)
  return text ~= "" and text or nil
end

-- The contracts give error_info no shape: another value than a text is told as its JSON.
local function text_of(value)
  if value == nil or value == json.null then
    return nil
  end
  return type(value) == "string" and value or json.encode(value)
end

--- Builds the error detail of a result that failed.
---@param event handlers.spellcheck_result.Event|handlers.spellcheck_completed_first.Event
---@param message_keys string[] keys of error_info, of which the first that is there is the message
---@param code_key? string its key of the code
---@return string? json nil: it did not fail, or says nothing of the error
function M.error_detail(event, message_keys, code_key)
  if event.status ~= "FAILED" or not event.error_info or event.error_info == "{}" then
    return nil
  end
  local info = json.decode(event.error_info) or {}
  local said = { code = code_key and text_of(info[code_key]) }
  for _, key in ipairs(message_keys) do
    said.message = said.message or text_of(info[key])
  end
  local ids = { essay_id = event.essay_id, batch_id = M.not_empty(event.batch_id) }
  return error_details.build(event, "process_spellcheck_result", ids, said)
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
