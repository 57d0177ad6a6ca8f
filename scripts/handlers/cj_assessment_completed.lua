--- A comparative judgement ended (first release). The current release's event of this name has no
--- rankings and is ignored: its results come as `assessment_result`.
local contracts = require("lib.contracts")
local rankings = require("lib.rankings")
local statuses = require("lib.statuses")

---@type handlers.cj_assessment_completed
return {
  topics = { "huleedu.cj_assessment.completed.v1" },
  time = "data.timestamp",
  fields = contracts.with_block("data.system_metadata", {
    batch_id = contracts.id("data.entity_ref.entity_id", "data.entity_id"),
    -- only the first release nests the entity
    first_release_id = contracts.checked("data.entity_ref.entity_id", { optional = true }),
    entity_type = { "data.entity_ref.entity_type", "data.entity_type", check_only = true },
    status = contracts.checked("data.status", { enum = statuses.RESULT }),
    job_id = "data.cj_assessment_job_id",
    run = { "correlation_id", type = "uuid", optional = true },
    rankings = {
      "data.rankings",
      type = "list",
      required_if = "first_release_id",
      fields = {
        essay_id = { "els_essay_id", optional = true },
        rank = contracts.int32("rank", { optional = true }),
        score = { "score", type = "number", optional = true },
      },
    },
  }),
  handle = function(event, view)
    if not event.rankings then
      return "ignored"
    end
    local students = {}
    for _, item in ipairs(event.rankings) do
      local essay_id = item.essay_id
      if essay_id and essay_id ~= "" and essay_id:sub(1, 7) ~= "ANCHOR_" then
        students[#students + 1] = item
      end
    end
    rankings.merge_first(event, students, view)
  end,
}
