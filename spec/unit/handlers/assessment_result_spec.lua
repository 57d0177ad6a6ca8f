local events = require("testing.events")
local handlers = require("testing.handlers")
local json = require("json")

local NAME, FIXTURE = "handlers/assessment_result", "assessment_result"
local GRADE = "data.essay_results.1.letter_grade"

describe("handlers.assessment_result", function()
  it("merges students' results, not the anchors'", function()
    local event = events.load(FIXTURE)
    local outcome = handlers.run(NAME, event)
    local columns, key = events.columns(outcome, "assessments", "judgement")
    local results = event.data.essay_results
    assert.are.equal(event.data.batch_id, key.batch_id)
    assert.are.same({ results[1].essay_id, results[2].essay_id }, columns.essay_ids)
    assert.are.same({ results[1].bt_score, results[2].bt_score }, columns.scores)
    assert.are.same({ results[1].rank, results[2].rank }, columns.ranks)
    assert.are.equal(
      event.data.assessment_metadata.comparison_count,
      columns.comparison_count
    )
  end)

  it("keeps job, grades, confidence and duration, in the result's order", function()
    local event = events.load(FIXTURE)
    local columns = events.columns(handlers.run(NAME, event), "assessments", "judgement")
    local one, two = event.data.essay_results[1], event.data.essay_results[2]
    assert.are.equal(event.data.cj_assessment_job_id, columns.job_id)
    assert.are.same({ one.letter_grade, two.letter_grade }, columns.letter_grades)
    assert.are.same({ one.confidence_score, two.confidence_score }, columns.confidence_scores)
    assert.are.same({ one.confidence_label, two.confidence_label }, columns.confidence_labels)
    assert.are.equal(
      event.data.assessment_metadata.processing_duration_seconds,
      columns.processing_duration_s
    )
  end)

  it("uses the last item of an essay listed twice", function()
    local event = events.load(FIXTURE)
    local one, two = event.data.essay_results[1], event.data.essay_results[2]
    two.essay_id, two.letter_grade = one.essay_id, "U"
    local columns = events.columns(handlers.run(NAME, event), "assessments", "judgement")
    assert.are.same({ { one.essay_id }, { "U" } }, { columns.essay_ids, columns.letter_grades })
  end)

  it("keeps the envelope's correlation id, of the earliest copy", function()
    local first = events.load(FIXTURE)
    local again = events.with(FIXTURE, {
      event_id = "ffffffff-ffff-4fff-bfff-ffffffffffff",
      correlation_id = "00000000-0000-4000-8000-000000000002",
    })
    local rows = handlers.replay({ { NAME, again }, { NAME, first } }).rows.assessments
    assert.are.equal(1, #rows)
    assert.are.equal(first.correlation_id, rows[1].run.correlation_id)
  end)

  it("is dated by the data, not by the envelope", function()
    local event = events.with(FIXTURE, { event_timestamp = "2027-01-01T00:00:00Z" })
    local outcome = handlers.run(NAME, event)
    assert.are.equal(event.data.timestamp, outcome.rows.assessments[1].restated.at)
  end)

  it("takes a result that does not say whether it is an anchor for a student's", function()
    local event = events.load(FIXTURE)
    event.data.essay_results[1].is_anchor = nil
    local columns = events.columns(handlers.run(NAME, event), "assessments", "judgement")
    assert.are.equal(2, #columns.essay_ids)
  end)

  it("merges the assignment where there is one, however long its name", function()
    local long = ("assignment "):rep(20)
    local outcome = handlers.run(NAME, events.with(FIXTURE, { ["data.assignment_id"] = long }))
    local columns = events.columns(outcome, "batch_results", "assignment")
    assert.are.same({ assignment_id = long }, columns)
    local without = handlers.run(NAME, events.with(FIXTURE, { ["data.assignment_id"] = json.null }))
    assert.is_nil(events.columns(without, "batch_results", "assignment"))
  end)

  it("takes a result without its metadata", function()
    local event = events.with(FIXTURE, { ["data.assessment_metadata"] = json.null })
    local columns = events.columns(handlers.run(NAME, event), "assessments", "judgement")
    assert.is_nil(columns.comparison_count)
  end)

  for _, grade in ipairs({ "A", "A+", "C-", "F", "U" }) do
    it("takes the grade " .. grade, function()
      local outcome = handlers.run(NAME, events.with(FIXTURE, { [GRADE] = grade }))
      assert.are.equal("applied", outcome.result)
    end)
  end

  for _, grade in ipairs({ "", "G", "U+", "A++", "a", " A" }) do
    it(("refuses the grade %q"):format(grade), function()
      local outcome = handlers.run(NAME, events.with(FIXTURE, { [GRADE] = grade }))
      assert.is_truthy(outcome.reason:find("^unknown_value: data.essay_results%[0%]"))
    end)
  end

  it("refuses the whole event for one bad item, and names it", function()
    local event = events.with(FIXTURE, { ["data.essay_results.2.rank"] = 0 })
    local outcome = handlers.run(NAME, event)
    assert.are.equal("rejected", outcome.result)
    assert.is_truthy(outcome.reason:find("^out_of_range: data.essay_results%[1%].*rank is 0"))
    assert.are.same({}, outcome.merges)
  end)
end)
