-- What leaves has the form in which the platform's own service writes it: samples/outgoing.jsonl.
local fixtures = require("testing.fixtures")
local json = require("json")
local reactions = require("testing.reactions")

local BATCH, RUN = "0b04aef0-de09-410e-ac3e-89a2e33d1a6f", "cdc8c909-48ac-482d-899d-42cc9ae9316d"
local AT = 1764427745980268 -- 2025-11-29T14:49:05.980268Z
local TIME = "2025-11-29T14:49:05.980268Z"

local JUDGEMENT = {
  key = BATCH,
  user_id = "teacher-real",
  job_id = "17",
  correlation_id = RUN,
  essay_ids = { "e1" },
  ranks = { 1 },
  scores = { 1.25 },
  letter_grades = { "C+" },
  confidence_scores = { 0.5 },
  confidence_labels = { "MID" },
  at = AT,
}
local RESULTS = {
  key = BATCH,
  user_id = "teacher-real",
  essay_count = 2,
  run = RUN,
  completed = 1,
  phases = json.encode({
    { phase_name = "spellcheck", completed = 1, failed = 1 },
    { phase_name = "nlp", completed = 9, failed = 9 },
    { phase_name = "cj_assessment", completed = 1, failed = 1 },
  }),
  status = "completed_with_failures",
  duration_s = 40.092863,
  judged = 0,
  unjudged = 0,
  at = AT,
}

local function with(row, changes)
  local copy = {}
  for name, value in pairs(row) do
    copy[name] = value
  end
  for name, value in pairs(changes) do
    copy[name] = value
  end
  return copy
end

local function publish(name, row)
  local messages, failure = reactions.run("reactions/" .. name, row)
  assert.is_nil(failure)
  return messages
end

-- The sample of a topic, of which there are two for notifications.
local function sample(topic, kind)
  for _, line in ipairs(fixtures.lines("samples/outgoing.jsonl")) do
    local record = fixtures.decode(line)
    if record.topic == topic and (not kind or record.value.data.notification_type == kind) then
      return record
    end
  end
end

-- Ids and times of the sample are those of a moment; ours follow from the facts.
local function as_ours(record, message)
  local value = record.value
  value.event_id, value.event_timestamp = message.value.event_id, TIME
  value.correlation_id = RUN -- the sample's notification has one by chance
  value.data.timestamp = TIME
  if value.data.system_metadata then
    value.data.system_metadata.timestamp = TIME
  end
  return record
end

local FORMS = {
  { "assessment_completed", JUDGEMENT, 1, "huleedu.ras.batch.assessment.completed.v1" },
  { "assessment_completed", JUDGEMENT, 2, "huleedu.notification.teacher.requested.v1",
    "batch_assessment_completed" },
  { "results_ready", RESULTS, 1, "huleedu.ras.batch.results.ready.v1" },
  { "results_ready", RESULTS, 2, "huleedu.notification.teacher.requested.v1",
    "batch_results_ready" },
}

describe("what is published", function()
  for _, form in ipairs(FORMS) do
    local name, row, place, topic, kind = unpack(form)
    it(("has the platform's form: %s %s"):format(topic, kind or ""), function()
      local message = publish(name, row)[place]
      local wanted = as_ours(sample(topic, kind), message)
      assert.are.equal(wanted.topic, message.topic)
      assert.are.equal(wanted.key, message.key)
      assert.are.same(wanted.value, message.value)
    end)

    it(("has one id, in the envelope, in the headers and as its fact: %s %s")
      :format(topic, kind or ""), function()
      local message = publish(name, row)[place]
      assert.are.equal(message.identity, message.value.event_id)
      assert.are.same({ event_id = message.identity, event_type = topic }, message.headers)
      assert.are.equal(AT, message.at)
      assert.are.equal("5", message.identity:sub(15, 15)) -- its version
    end)

    it(("is the same for the same fact, and another one where a word differs: %s %s")
      :format(topic, kind or ""), function()
      local first, again = publish(name, row)[place], publish(name, row)[place]
      assert.are.equal(first.text, again.text)
      for column, value in pairs({
        user_id = "other", at = AT + 1, key = "other", correlation_id = BATCH, run = BATCH,
        job_id = "18", status = "completed_successfully", completed = 2, essay_count = 3,
      }) do
        if row[column] then
          local other = publish(name, with(row, { [column] = value }))[place]
          local says_so = other.text:gsub(other.identity, "") ~= first.text:gsub(first.identity, "")
          assert.are.equal(says_so, other.identity ~= first.identity, column)
        end
      end
    end)
  end

  it("is made of events of wrong clocks: the outbox settles the oldest", function()
    local clocks = {
      ["0001-01-01T00:00:00.000000Z"] = -62135596800000000,
      ["1970-01-01T00:00:00.000000Z"] = 0,
      ["9999-12-31T08:01:15.351582Z"] = "253402243275351582", -- as a query returns it
    }
    for name, row in pairs({ assessment_completed = JUDGEMENT, results_ready = RESULTS }) do
      for time, at in pairs(clocks) do
        for _, message in ipairs(publish(name, with(row, { at = at }))) do
          assert.are.equal(time, message.value.event_timestamp)
          assert.is_true(message.at >= 946684800000000)
        end
      end
    end
  end)

  it("has a correlation id where the first release had none, the same each time", function()
    for name, row in pairs({
      assessment_completed = with(JUDGEMENT, {}),
      results_ready = with(RESULTS, {}),
    }) do
      row.run, row.correlation_id = nil, nil
      local messages = publish(name, row)
      local run = messages[1].value.correlation_id
      assert.are.equal(36, #run)
      assert.are.equal(run, messages[2].value.data.correlation_id)
      assert.are.equal(run, publish(name, row)[1].value.correlation_id)
    end
  end)
end)

describe("reactions.assessment_completed", function()
  it("keeps the result's order", function()
    local row = with(JUDGEMENT, {
      essay_ids = { "b", "a" }, ranks = { 4, 1 }, scores = { -1.5, 2 },
      letter_grades = { "F", "A" }, confidence_scores = { 0, 1 },
      confidence_labels = { "LOW", "HIGH" },
    })
    local message, notification = unpack(publish("assessment_completed", row))
    local list = message.value.data.rankings_summary
    assert.are.same({ "b", "a" }, { list[1].essay_id, list[2].essay_id })
    assert.are.same({ 4, -1.5, "F", 0, "LOW" }, { list[1].rank, list[1].score,
      list[1].letter_grade, list[1].confidence_score, list[1].confidence_label })
    assert.are.equal(2, notification.value.data.payload.rankings_count)
  end)

  it("states no rankings if only anchors were judged", function()
    local none = { essay_ids = {}, ranks = {}, scores = {}, letter_grades = {},
      confidence_scores = {}, confidence_labels = {} }
    local message, notification = unpack(publish("assessment_completed", with(JUDGEMENT, none)))
    assert.is_truthy(message.text:find('"rankings_summary":[]', 1, true))
    assert.is_false(notification.value.data.payload.rankings_available)
  end)
end)

describe("reactions.results_ready", function()
  it("takes the judging's counts from the judgement where it sent no outcome", function()
    local row = with(RESULTS, { phases = "[]", judged = 2, unjudged = 1 })
    local results = publish("results_ready", row)[1].value.data.phase_results
    assert.are.same({ 0, 0, "completed" }, { results.spellcheck.completed_count,
      results.spellcheck.failed_count, results.spellcheck.status })
    assert.are.same({ 2, 1, "completed_with_failures" }, { results.cj_assessment.completed_count,
      results.cj_assessment.failed_count, results.cj_assessment.status })
  end)

  it("has the duration of the judgement, if known", function()
    local results = publish("results_ready", with(RESULTS, { judging_s = 19.5 }))[1].value.data
      .phase_results
    assert.are.equal(19.5, results.cj_assessment.processing_time_seconds)
    assert.are.equal(json.null, results.spellcheck.processing_time_seconds)
  end)
end)
