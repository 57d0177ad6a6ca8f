--- A spell check ended (first release). Its producers often leave the batch out.
local spellchecks = require("lib.spellchecks")
local statuses = require("lib.statuses")

return {
  topics = { "huleedu.essay.spellcheck.completed.v1" },
  time = "data.timestamp",
  fields = {
    essay_id = { "data.system_metadata.entity.entity_id", "data.entity_ref.entity_id" },
    batch_id = {
      "data.system_metadata.entity.parent_id",
      "data.entity_ref.parent_id",
      optional = true,
    },
    event_name = "data.event_name",
    stated_at = "data.timestamp",
    status = { "data.status", enum = statuses.RESULT },
    original_text_id = "data.original_text_storage_id",
    corrected_text_id = {
      "data.storage_metadata.references.corrected_text.default",
      "data.storage_metadata.references.corrected_text.storage_id",
      optional = true,
    },
    corrections = {
      "data.corrections_made",
      type = "integer",
      optional = true,
      min = -2147483648,
      max = 2147483647,
    },
    error_text = { "data.system_metadata.error_info.fetch_error", optional = true },
  },
  handle = spellchecks.merge,
}
