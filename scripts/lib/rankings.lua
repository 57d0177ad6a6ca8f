--- Merges a comparative judgement: one row per batch and judgement, not one per essay.

local json = require("json")

local M = {}

--- A ranked student essay of either release.
---@class lib.rankings.Item
---@field essay_id string
---@field rank? integer
---@field score? number

-- Removes duplicate essays: the last item counts, at the position of the first.
local function distinct(items)
  local list, places = {}, {}
  for _, item in ipairs(items) do
    local i = places[item.essay_id] or #list + 1
    places[item.essay_id] = i
    list[i] = item
  end
  return list
end

local function column(items, name)
  local values = {}
  for i, item in ipairs(items) do
    values[i] = item[name]
  end
  return values
end

-- Builds the columns that both releases fill.
local function judgement(event, items, view)
  local ranks, scores, states = {}, {}, {}
  for i, item in ipairs(items) do
    local scored = item.score ~= nil
    ranks[i] = scored and item.rank or json.null
    scores[i] = scored and item.score or json.null
    states[i] = scored and "COMPLETED" or "FAILED"
    view:touch(item.essay_id)
  end
  return {
    essay_ids = column(items, "essay_id"),
    ranks = ranks,
    scores = scores,
    statuses = states,
    job_id = event.job_id,
  }
end

local function merge(event, columns, view)
  local key = { event.batch_id }
  view.assessments:merge(key, "judgement", columns)
  view.assessments:merge(key, "run", { correlation_id = event.run })
  view.assessments:merge(key, "restated", {})
end

--- Merges a result of the current release.
---@param event handlers.assessment_result.Event
---@param items lib.rankings.Item[] student essays only, with grade and confidence
---@param view View
function M.merge(event, items, view)
  items = distinct(items)
  local columns = judgement(event, items, view)
  columns.comparison_count = event.comparison_count
  columns.letter_grades = column(items, "letter_grade")
  columns.confidence_scores = column(items, "confidence_score")
  columns.confidence_labels = column(items, "confidence_label")
  columns.processing_duration_s = event.duration_s
  merge(event, columns, view)
end

--- Merges the rankings of the first release, which has neither grades nor confidence.
---@param event handlers.cj_assessment_completed.Event
---@param items lib.rankings.Item[] student essays only
---@param view View
function M.merge_first(event, items, view)
  merge(event, judgement(event, distinct(items), view), view)
end

return M
