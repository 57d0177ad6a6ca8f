--- A spell check ended (current release).
local contracts = require("lib.contracts")
local spellchecks = require("lib.spellchecks")
local statuses = require("lib.statuses")

local function count(key)
  return contracts.int32("data.correction_metrics." .. key, { check_only = true })
end

---@type handlers.spellcheck_result
return {
  topics = { "huleedu.essay.spellcheck.results.v1" },
  time = "data.timestamp",
  fields = contracts.with_block("data.system_metadata", {
    essay_id = contracts.id("data.entity_id"),
    batch_id = contracts.id("data.batch_id"),
    event_name = contracts.checked("data.event_name"),
    status = { "data.status", enum = statuses.RESULT },
    correlation = contracts.checked("data.correlation_id"),
    corrections = contracts.int32("data.corrections_made"),
    total = count("total_corrections"),
    dictionary = count("l2_dictionary_corrections"),
    spelling = count("spellchecker_corrections"),
    words = count("word_count"),
    density = contracts.checked("data.correction_metrics.correction_density", { type = "number" }),
    metrics = { "data.correction_metrics", type = "json" },
    original_text_id = contracts.checked("data.original_text_storage_id"),
    corrected_text_id = { "data.corrected_text_storage_id", optional = true },
    duration_ms = contracts.checked("data.processing_duration_ms", { type = "integer" }),
    error_info = { "data.system_metadata.error_info", type = "json", optional = true },
  }),
  handle = function(event, view)
    spellchecks.link(event, view)
    view.essay_results:merge(event.essay_id, "spellcheck", {
      spellcheck_status = event.status,
      spellcheck_correction_count = event.corrections,
      spellcheck_corrected_text_storage_id = spellchecks.not_empty(event.corrected_text_id),
      spellcheck_metrics = event.metrics,
      spellcheck_error_detail = spellchecks.error_detail(event, { "error_message" }, "error_code"),
    })
  end,
}
