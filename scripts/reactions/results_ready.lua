--- Publishes the results of each completed run of a batch: once, and again if they change.
local json = require("json")
local outgoing = require("lib.outgoing")

local function phase(completed, failed, seconds)
  return {
    status = failed > 0 and "completed_with_failures" or "completed",
    completed_count = completed,
    failed_count = failed,
    processing_time_seconds = seconds or json.null,
  }
end

--- Counts the essays of each phase. A phase outcome takes precedence. Without one, cj_assessment
--- has the counts of the latest judgement, and spellcheck has zeros.
local function phases_of(row)
  local phases = {
    spellcheck = phase(0, 0),
    cj_assessment = phase(row.judged, row.unjudged, row.judging_s),
  }
  for _, reported in ipairs(json.decode(row.phases)) do
    local known = phases[reported.phase_name]
    if known then
      local seconds = known.processing_time_seconds
      phases[reported.phase_name] = phase(reported.completed, reported.failed, seconds)
    end
  end
  return phases
end

-- Copies the phases and adds `phase_name` to each.
local function named(phases)
  local results = {}
  for name, result in pairs(phases) do
    results[name] = { phase_name = name }
    for key, value in pairs(result) do
      results[name][key] = value
    end
  end
  return results
end

---@type reactions.results_ready
return {
  follows = { batch_results = "batch_id", phase_outcomes = "batch_id", assessments = "batch_id" },
  query = "reaction_results",
  publish = function(row)
    local fact = { batch_id = row.key, user_id = row.user_id, run = row.run, at = row.at }
    local phases = phases_of(row)
    return {
      outgoing.event(fact, "huleedu.ras.batch.results.ready.v1", "results.ready", {
        status = row.status,
        overall_status = row.status,
        total_essays = row.essay_count,
        completed_essays = row.completed,
        phase_results = named(phases),
        processing_duration_seconds = row.duration_s,
      }),
      outgoing.notification(fact, "batch_results_ready", "high", {
        overall_status = row.status,
        total_essays = row.essay_count,
        completed_essays = row.completed,
        phase_results = phases,
        processing_duration_seconds = row.duration_s,
        message = ("Batch %s processing completed with %d/%d essays"):format(
          row.key,
          row.completed,
          row.essay_count
        ),
      }),
    }
  end,
}
