--- A spell check ended (current release).
local spellchecks = require("lib.spellchecks")
local statuses = require("lib.statuses")

local function count(path)
  return { path, type = "integer", min = -2147483648, max = 2147483647 }
end

return {
  topics = { "huleedu.essay.spellcheck.results.v1" },
  time = "data.timestamp",
  fields = {
    essay_id = "data.entity_id",
    batch_id = "data.batch_id",
    event_name = "data.event_name",
    stated_at = "data.timestamp",
    status = { "data.status", enum = statuses.RESULT },
    correlation = "data.correlation_id",
    corrections = count("data.corrections_made"),
    total = count("data.correction_metrics.total_corrections"),
    dictionary = count("data.correction_metrics.l2_dictionary_corrections"),
    spelling = count("data.correction_metrics.spellchecker_corrections"),
    words = count("data.correction_metrics.word_count"),
    density = { "data.correction_metrics.correction_density", type = "number" },
    metrics = { "data.correction_metrics", type = "json" },
    original_text_id = "data.original_text_storage_id",
    corrected_text_id = { "data.corrected_text_storage_id", optional = true },
    duration_ms = { "data.processing_duration_ms", type = "integer" },
    error_code = { "data.system_metadata.error_info.error_code", optional = true },
    error_message = { "data.system_metadata.error_info.error_message", optional = true },
  },
  handle = function(event, view)
    if event.essay_id == "" or event.batch_id == "" then
      error("entity_id and batch_id must not be empty")
    end
    spellchecks.merge(event, view)
  end,
}
