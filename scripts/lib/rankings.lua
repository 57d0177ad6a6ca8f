--- Merges one comparative judgement: a fact of a batch, stored once, not once an essay.
-- @module lib.rankings

local json = require("json")

local M = {}

--- @tparam string batch_id
-- @tparam {{essay_id=string,rank=?number,score=?number},...} items of students' essays only; of an
-- essay that is listed twice the last item counts
-- @tparam ?number comparison_count
-- @tparam table view
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
