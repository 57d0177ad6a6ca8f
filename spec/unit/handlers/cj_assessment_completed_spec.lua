local events = require("testing.events")
local handlers = require("testing.handlers")
local json = require("json")

local NAME = "handlers/cj_assessment_completed"
local FIRST, THIN = "cj_assessment_completed.first", "cj_assessment_completed.thin"

local function judgement(event)
  local outcome = handlers.run(NAME, event)
  assert.are.equal("applied", outcome.result, outcome.reason)
  return events.columns(outcome, "assessments", "judgement")
end

describe("handlers.cj_assessment_completed", function()
  it("merges job and rankings, without the grades that this release lacks", function()
    local event = events.load(FIRST)
    local columns, key = judgement(event)
    assert.are.equal(event.data.entity_ref.entity_id, key.batch_id)
    assert.are.same({
      essay_ids = { event.data.rankings[1].els_essay_id, event.data.rankings[2].els_essay_id },
      ranks = { 1, 2 },
      scores = { 1.518133, 0.147595 },
      statuses = { "COMPLETED", "COMPLETED" },
      job_id = event.data.cj_assessment_job_id,
    }, columns)
  end)

  it("is dated by the data, restates itself, and drops their responses", function()
    local event = events.with(FIRST, { event_timestamp = "2027-01-01T00:00:00Z" })
    local outcome = handlers.run(NAME, event)
    local rankings, row = event.data.rankings, outcome.rows.assessments[1]
    assert.are.equal(event.data.timestamp, row.judgement.at)
    assert.are.equal(event.data.timestamp, row.restated.at)
    local batch_id = event.data.entity_ref.entity_id
    local one, two = rankings[1].els_essay_id, rankings[2].els_essay_id
    assert.is_true(events.touches(outcome, batch_id, one, two))
  end)

  it("ignores the thin event of the current release", function()
    local outcome = handlers.run(NAME, events.load(THIN))
    assert.are.equal("ignored", outcome.result)
    assert.are.same({}, outcome.merges)
  end)

  it("refuses one of the first release without rankings", function()
    local event = events.with(FIRST, { ["data.rankings"] = json.null })
    local outcome = handlers.run(NAME, event)
    assert.are.equal("missing_field: data.rankings is missing", outcome.reason)
  end)

  it("states FAILED for a ranking without a score, with neither rank nor score", function()
    local columns = judgement(events.with(FIRST, { ["data.rankings.2.score"] = json.null }))
    assert.are.same({ "COMPLETED", "FAILED" }, columns.statuses)
    assert.are.same({ 1, json.null }, columns.ranks)
    assert.are.same({ 1.518133, json.null }, columns.scores)
  end)

  it("leaves out anchors, and rankings that name no essay", function()
    local event = events.load(FIRST)
    event.data.rankings[1].els_essay_id = "ANCHOR_1"
    event.data.rankings[3] = { rank = 3, score = 0.5 }
    event.data.rankings[4] = { rank = 4, score = 0.5, els_essay_id = "" }
    local columns = judgement(event)
    assert.are.same({ event.data.rankings[2].els_essay_id }, columns.essay_ids)
  end)

  it("keeps scores exact", function()
    local event = events.with(FIRST, { ["data.rankings.1.score"] = -0.1234567890123456 })
    local columns = judgement(event)
    assert.are.equal(-0.1234567890123456, columns.scores[1])
  end)

  it("takes a judgement of nobody", function()
    local columns = judgement(events.with(FIRST, { ["data.rankings"] = json.array({}) }))
    assert.are.same({}, columns.essay_ids)
  end)
end)
