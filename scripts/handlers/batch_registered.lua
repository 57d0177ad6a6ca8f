--- A batch of essays was registered (both releases).
local contracts = require("lib.contracts")
local statuses = require("lib.statuses")

---@type handlers.batch_registered
return {
  topics = { "huleedu.batch.essays.registered.v1" },
  time = "data.metadata.timestamp",
  fields = contracts.with_block("data.metadata", {
    batch_id = contracts.id("data.entity_id", "data.batch_id"),
    -- only the first release has this field
    first_release_id = { "data.batch_id", optional = true },
    essay_instructions = contracts.checked("data.essay_instructions", {
      required_if = "first_release_id",
    }),
    essay_count = contracts.int32("data.expected_essay_count", { min = 0 }),
    essay_ids = { "data.essay_ids", type = "strings", min = 1 },
    course_code = contracts.checked("data.course_code", { enum = statuses.COURSE }),
    user_id = contracts.id("data.user_id"),
    student_prompt_ref = { "data.student_prompt_ref", type = "json", optional = true },
  }),
  handle = function(event, view)
    view.batch_results:merge(event.batch_id, "registration", {
      user_id = event.user_id,
      essay_count = event.essay_count,
      essay_ids = event.essay_ids,
      student_prompt_ref = event.student_prompt_ref,
      first_release = event.first_release_id ~= nil,
    })
    for _, essay_id in ipairs(event.essay_ids) do
      view:touch(essay_id)
    end
    view:touch(event.user_id) -- lists of the user depend on it: sql/functions/list_tags.sql
  end,
}
