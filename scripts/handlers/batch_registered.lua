--- A batch of essays was registered: it is there from now on.
local statuses = require("lib.statuses")

return {
  topics = { "huleedu.batch.essays.registered.v1" },
  time = "data.metadata.timestamp",
  fields = {
    batch_id = { "data.entity_id", "data.batch_id" },
    -- only the first release names it so
    first_release_id = { "data.batch_id", optional = true },
    essay_count = { "data.expected_essay_count", type = "integer", min = 0, max = 2147483647 },
    essay_ids = { "data.essay_ids", type = "strings" },
    course_code = { "data.course_code", enum = statuses.COURSE },
    user_id = "data.user_id",
    student_prompt_ref = { "data.student_prompt_ref", type = "json", optional = true },
  },
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
  end,
}
