--- The platform's enums, and their mapping to this service's statuses.

local M = {}

local function set(words)
  local values = {}
  for word in words:gmatch("%S+") do
    values[word] = word
  end
  return values
end

--- Batch statuses in events (BatchStatus of the contracts, both releases).
M.BATCH = set([[
  awaiting_content_validation content_ingestion_failed awaiting_pipeline_configuration
  ready_for_pipeline_execution processing_pipelines awaiting_student_validation
  student_validation_completed validation_timeout_processed guest_class_ready
  completed_successfully completed_with_failures failed_critically cancelled
]])

local ESSAY = set([[
  uploaded text_extracted content_ingesting content_ingester content_ingestion_failed
  ready_for_processing awaiting_spellcheck spellchecking_in_progress spellchecked_success
  spellcheck_failed awaiting_nlp nlp_processing_in_progress nlp_success nlp_failed
  awaiting_ai_feedback ai_feedback_processing_in_progress ai_feedback_success ai_feedback_failed
  awaiting_editor_revision editor_revision_processing_in_progress editor_revision_success
  editor_revision_failed awaiting_grammar_check grammar_check_processing_in_progress
  grammar_check_success grammar_check_failed awaiting_cj_assessment
  cj_assessment_processing_in_progress cj_assessment_success cj_assessment_failed
  all_processing_completed essay_critical_failure
]])

--- Phases in phase outcomes (PhaseName, both releases).
M.PHASE = set("spellcheck ai_feedback cj_assessment nlp student_matching")

--- Course codes in registrations.
M.COURSE = set("ENG5 ENG6 ENG7 SV1 SV2 SV3")

--- Confidence labels of a comparative judgement.
M.CONFIDENCE = set("HIGH MID LOW")

--- Grades of a comparative judgement: A to F, each with an optional sign, and U.
M.GRADE = set("U")
for letter in ("ABCDEF"):gmatch(".") do
  for _, sign in ipairs({ "", "+", "-" }) do
    M.GRADE[letter .. sign] = letter .. sign
  end
end

--- Maps an EssayStatus or BatchStatus of a result to this service's phase status.
M.RESULT = {}
for word in pairs(ESSAY) do
  M.RESULT[word] = word:find("success", 1, true) and "COMPLETED" or "FAILED"
end
for word in pairs(M.BATCH) do
  M.RESULT[word] = word:find("success", 1, true) and "COMPLETED" or "FAILED"
end

--- Maps a BatchStatus that ends a batch to this service's own status.
M.FINAL = {
  cancelled = "CANCELLED",
  failed_critically = "FAILED",
  content_ingestion_failed = "FAILED",
  completed_with_failures = "PARTIALLY_COMPLETED",
  completed_successfully = "COMPLETED",
}

local OWN = {
  REGISTERED = { "pending_content", "awaiting_content_validation",
    "awaiting_pipeline_configuration" },
  PROCESSING = { "processing", "processing_pipelines", "awaiting_student_validation",
    "student_validation_completed", "validation_timeout_processed", "guest_class_ready" },
  PARTIALLY_COMPLETED = { "completed_with_failures" },
  COMPLETED = { "completed_successfully" },
  FAILED = { "failed", "failed_critically", "content_ingestion_failed" },
  CANCELLED = { "cancelled" },
}
-- Valid in a filter, but no batch ever has these statuses.
local OWN_OF = { ready = false, ready_for_pipeline_execution = false }
for own, words in pairs(OWN) do
  OWN_OF[own] = own
  for _, word in ipairs(words) do
    OWN_OF[word] = own
  end
end

--- The values of `overall_status` in response bodies, from the SQL function `client_status`.
M.CLIENT = {
  "pending_content",
  "processing",
  "completed_successfully",
  "completed_with_failures",
  "failed",
  "cancelled",
}

--- Translations of `overall_status` for callers with another vocabulary. The platform's gateway and
--- its teacher back-end use the orchestrator's words (`internal`).
M.VOCABULARIES = {
  client = {},
  internal = {
    pending_content = "awaiting_content_validation",
    processing = "processing_pipelines",
    failed = "failed_critically",
  },
}

--- Parses a `status=` filter: words of any of the three vocabularies, separated by commas.
---@param text? string the filter; nil or empty: no filter
---@return string[]? statuses this service's own; nil: no filter; empty: matches no batch
---@return string? unknown the first word that is not a status
function M.parse_filter(text)
  if not text or text == "" then
    return nil
  end
  local list = {}
  for word in (text .. ","):gmatch("([^,]*),") do
    local own = OWN_OF[word]
    if own == nil then
      return nil, word
    end
    list[#list + 1] = own or nil
  end
  return list
end

return M
