--- A comparative judgement's results were published (current release).
local rankings = require("lib.rankings")

return {
  topics = { "huleedu.assessment.result.published.v1" },
  time = "data.timestamp",
  fields = {
    batch_id = "data.batch_id",
    job_id = "data.cj_assessment_job_id",
    assignment_id = { "data.assignment_id", optional = true },
    method = "data.assessment_method",
    model = "data.model_used",
    provider = "data.model_provider",
    comparison_count = {
      "data.assessment_metadata.comparison_count",
      type = "integer",
      optional = true,
      min = 0,
      max = 2147483647,
    },
    results = {
      "data.essay_results",
      type = "list",
      fields = {
        essay_id = "essay_id",
        normalized_score = { "normalized_score", type = "number", min = 0, max = 1 },
        letter_grade = "letter_grade",
        confidence_score = { "confidence_score", type = "number", min = 0, max = 1 },
        confidence_label = { "confidence_label", enum = { "HIGH", "MID", "LOW" } },
        score = { "bt_score", type = "number" },
        rank = { "rank", type = "integer", min = 1, max = 2147483647 },
        is_anchor = { "is_anchor", type = "boolean", optional = true },
      },
    },
  },
  handle = function(event, view)
    local students = {}
    for _, item in ipairs(event.results) do
      if not item.is_anchor then
        students[#students + 1] = item
      end
    end
    rankings.merge(event.batch_id, students, event.comparison_count, view)
    if event.assignment_id then
      view.batch_results:merge(event.batch_id, "assignment", {
        assignment_id = event.assignment_id,
      })
    end
  end,
}
