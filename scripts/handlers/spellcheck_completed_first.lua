--- A spell check ended (first release). Most producers omit the batch.
local contracts = require("lib.contracts")
local spellchecks = require("lib.spellchecks")
local statuses = require("lib.statuses")

-- The key depends on the step that failed.
local MESSAGES = { "fetch_error", "content_error", "unhandled_error" }

---@type handlers.spellcheck_completed_first
return {
  topics = { "huleedu.essay.spellcheck.completed.v1" },
  time = "data.timestamp",
  fields = contracts.with_block("data.system_metadata", {
    essay_id = contracts.id("data.system_metadata.entity.entity_id"),
    batch_id = {
      "data.system_metadata.entity.parent_id",
      "data.entity_ref.parent_id",
      optional = true,
    },
    entity_id = contracts.checked("data.entity_ref.entity_id"),
    entity_type = contracts.checked("data.entity_ref.entity_type"),
    event_name = contracts.checked("data.event_name"),
    status = { "data.status", enum = statuses.RESULT },
    original_text_id = contracts.checked("data.original_text_storage_id"),
    storage = contracts.checked("data.storage_metadata", { type = "object", optional = true }),
    corrected_text_id = {
      "data.storage_metadata.references.corrected_text.default",
      "data.storage_metadata.references.corrected_text.storage_id",
      optional = true,
    },
    corrections = contracts.int32("data.corrections_made", { optional = true }),
    error_info = { "data.system_metadata.error_info", type = "json", optional = true },
  }),
  handle = function(event, view)
    spellchecks.link(event, view)
    view.essay_results:merge(event.essay_id, "spellcheck", {
      spellcheck_status = event.status,
      spellcheck_correction_count = event.corrections,
      spellcheck_corrected_text_storage_id = spellchecks.not_empty(event.corrected_text_id),
      spellcheck_error_detail = spellchecks.error_detail(event, MESSAGES),
    })
  end,
}
