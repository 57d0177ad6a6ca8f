--- The results of a comparative judgement were published (current release).
local contracts = require("lib.contracts")
local rankings = require("lib.rankings")
local statuses = require("lib.statuses")

---@type handlers.assessment_result
return {
  topics = { "huleedu.assessment.result.published.v1" },
  time = "data.timestamp",
  fields = {
    batch_id = contracts.id("data.batch_id"),
    job_id = "data.cj_assessment_job_id",
    run = { "correlation_id", type = "uuid", optional = true },
    -- The producer's model allows 100 characters. A longer id does not reject the result.
    assignment_id = { "data.assignment_id", optional = true },
    method = contracts.checked("data.assessment_method"),
    model = contracts.checked("data.model_used"),
    provider = contracts.checked("data.model_provider"),
    metadata = contracts.checked("data.assessment_metadata", { type = "object", optional = true }),
    comparison_count = contracts.int32(
      "data.assessment_metadata.comparison_count",
      { optional = true, min = 0 }
    ),
    duration_s = {
      "data.assessment_metadata.processing_duration_seconds",
      type = "number",
      optional = true,
    },
    results = {
      "data.essay_results",
      type = "list",
      fields = {
        essay_id = contracts.id("essay_id"),
        normalized_score = contracts.checked("normalized_score", {
          type = "number",
          min = 0,
          max = 1,
        }),
        letter_grade = { "letter_grade", enum = statuses.GRADE },
        confidence_score = { "confidence_score", type = "number", min = 0, max = 1 },
        confidence_label = { "confidence_label", enum = statuses.CONFIDENCE },
        score = { "bt_score", type = "number" },
        rank = contracts.int32("rank", { min = 1 }),
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
    rankings.merge(event, students, view)
    if event.assignment_id then
      view.batch_results:merge(event.batch_id, "assignment", {
        assignment_id = event.assignment_id,
      })
    end
  end,
}
