--- Publishes each comparative judgement of a batch once, also if the registration arrives later.
local json = require("json")
local outgoing = require("lib.outgoing")

local function rankings(row)
  local list = json.array({})
  for i, essay_id in ipairs(row.essay_ids) do
    list[i] = {
      essay_id = essay_id,
      rank = row.ranks[i],
      score = row.scores[i],
      letter_grade = row.letter_grades[i],
      confidence_score = row.confidence_scores[i],
      confidence_label = row.confidence_labels[i],
    }
  end
  return list
end

---@type reactions.assessment_completed
return {
  follows = { assessments = "batch_id", batch_results = "batch_id" },
  query = "reaction_judgements",
  publish = function(row)
    local fact = {
      batch_id = row.key,
      user_id = row.user_id,
      run = row.correlation_id,
      at = row.at,
    }
    local topic = "huleedu.ras.batch.assessment.completed.v1"
    return {
      outgoing.event(fact, topic, "assessment.completed", {
        status = "completed_successfully",
        assessment_job_id = row.job_id,
        rankings_summary = rankings(row),
      }),
      outgoing.notification(fact, "batch_assessment_completed", "standard", {
        assessment_job_id = row.job_id,
        rankings_available = #row.essay_ids > 0,
        rankings_count = #row.essay_ids,
        message = "Comparative judgment assessment completed for batch " .. row.key,
      }),
    }
  end,
}
