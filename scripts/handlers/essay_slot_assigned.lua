--- A file was assigned to an essay's slot.
local contracts = require("lib.contracts")

---@type handlers.essay_slot_assigned
return {
  topics = { "huleedu.els.essay.slot.assigned.v1" },
  time = "data.timestamp",
  fields = {
    batch_id = "data.batch_id", -- can be a placeholder such as guest-pending
    essay_id = contracts.id("data.essay_id"),
    file_upload_id = "data.file_upload_id",
    text_storage_id = "data.text_storage_id",
    filename = "data.original_file_name",
  },
  handle = function(event, view)
    view.essay_results:merge(event.essay_id, "slot", {
      filename = event.filename,
      file_upload_id = event.file_upload_id,
      original_text_storage_id = event.text_storage_id,
    })
    if event.batch_id ~= "" then
      view.essay_results:merge(event.essay_id, "slot_link", { slot_batch_id = event.batch_id })
      view:touch(event.batch_id)
    end
  end,
}
