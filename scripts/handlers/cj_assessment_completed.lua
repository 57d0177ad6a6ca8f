--- A comparative judgement ended (first release). The current release's event of this name is thin,
-- without rankings: what it says comes as an assessment result.
local rankings = require("lib.rankings")

return {
  topics = { "huleedu.cj_assessment.completed.v1" },
  time = "data.timestamp",
  fields = {
    batch_id = { "data.entity_ref.entity_id", "data.entity_id" },
    job_id = "data.cj_assessment_job_id",
    rankings = {
      "data.rankings",
      type = "list",
      optional = true,
      fields = {
        essay_id = { "els_essay_id", optional = true },
        rank = {
          "rank",
          type = "integer",
          optional = true,
          min = -2147483648,
          max = 2147483647,
        },
        score = { "score", type = "number", optional = true },
      },
    },
  },
  handle = function(event, view)
    if not event.rankings then
      return "ignored"
    end
    local students = {}
    for _, item in ipairs(event.rankings) do
      if item.essay_id and item.essay_id:sub(1, 7) ~= "ANCHOR_" then
        students[#students + 1] = item
      end
    end
    rankings.merge(event.batch_id, students, nil, view)
  end,
}
