--- Merges one comparative judgement: a fact of a batch, stored once, not once an essay.

local json = require("json")

local M = {}

--- Merges the students' essays. Of an essay that is listed twice the last item counts.
---@param batch_id string
---@param items { essay_id: string, rank?: integer, score?: number }[] of students' essays only
---@param comparison_count? integer
---@param view View
function M.merge(batch_id, items, comparison_count, view)
  local ids, ranks, scores, states = {}, {}, {}, {}
  local places = {}
  for _, item in ipairs(items) do
    local scored = item.score ~= nil
    local i = places[item.essay_id] or #ids + 1
    places[item.essay_id] = i
    ids[i] = item.essay_id
    ranks[i] = scored and item.rank or json.null
    scores[i] = scored and item.score or json.null
    states[i] = scored and "COMPLETED" or "FAILED"
    view:touch(item.essay_id)
  end
  local key = { batch_id }
  view.assessments:merge(key, "judgement", {
    essay_ids = ids,
    ranks = ranks,
    scores = scores,
    statuses = states,
    comparison_count = comparison_count,
  })
  view.assessments:merge(key, "restated", {})
end

return M
