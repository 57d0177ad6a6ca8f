local kafka = require("kafka")

local function error_of(call, ...)
  local ok, message = pcall(call, ...)
  assert.is_false(ok)
  return message
end

local TOPIC = "spec.records"
local KEY = "of one partition"

describe("kafka.produce", function()
  it("gives the place of the record", function()
    local first = assert(kafka.produce({
      topic = TOPIC, key = KEY, value = "v\0", headers = { source = "spec\0", empty = "" },
    }))
    local second = assert(kafka.produce({ topic = TOPIC, key = KEY }))
    assert.equal(first.partition, second.partition)
    assert.equal(first.offset + 1, second.offset)
  end)

  it("reports a record that is too large", function()
    local delivery, failure = kafka.produce({ topic = TOPIC, value = ("x"):rep(2000000) })
    assert.is_nil(delivery)
    assert.same({ kind = "input", message = TOPIC .. ": Broker: Message size too large" }, failure)
  end)

  it("refuses wrong arguments by name", function()
    assert.equal("kafka.produce: the record must be a table, got nil", error_of(kafka.produce))
    assert.equal('kafka.produce: field "topic" must be a string, got nil',
      error_of(kafka.produce, {}))
    assert.equal('kafka.produce: field "topic" must be a string, got nil',
      error_of(kafka.produce, setmetatable({}, { __index = { topic = TOPIC } })))
    assert.equal('kafka.produce: there is no field "topik": did you mean "topic"?',
      error_of(kafka.produce, { topik = TOPIC }))
    assert.equal('kafka.produce: field "value" must be a string, got a table',
      error_of(kafka.produce, { topic = TOPIC, value = {} }))
    assert.equal('kafka.produce: field "headers" must be a table, got "x"',
      error_of(kafka.produce, { topic = TOPIC, headers = "x" }))
    assert.equal('kafka.produce: header "a" must be a string, got the number 1',
      error_of(kafka.produce, { topic = TOPIC, headers = { a = 1 } }))
    assert.equal("kafka.produce: a header's name must be a string, got the number 1",
      error_of(kafka.produce, { topic = TOPIC, headers = { "a" } }))
    assert.equal('kafka.produce: field "timeout_ms" must be a whole number from 1 to 3600000,'
      .. " got the number 0.5", error_of(kafka.produce, { topic = TOPIC, timeout_ms = 0.5 }))
  end)
end)

describe("kafka.produce_all", function()
  it("gives the deliveries in order", function()
    local deliveries = assert(kafka.produce_all({
      { topic = TOPIC, key = KEY, value = "a" },
      { topic = TOPIC, key = KEY, value = "b", headers = { h = "1" } },
      { topic = TOPIC, key = KEY, value = "c" },
    }))
    assert.equal(3, #deliveries)
    assert.equal(deliveries[1].offset + 2, deliveries[3].offset)
    assert.same({}, (kafka.produce_all({})))
  end)

  it("fails where one was not delivered, with the results of all", function()
    local deliveries, failure = kafka.produce_all({
      { topic = TOPIC, value = "a" }, { topic = TOPIC, value = ("x"):rep(2000000) },
    })
    assert.is_nil(deliveries)
    assert.equal("input", failure.kind)
    assert.equal("1 of 2 records were not delivered, the first: " .. TOPIC
      .. ": Broker: Message size too large", failure.message)
    assert.is_number(failure.results[1].offset)
    assert.equal("input", failure.results[2].error.kind)
  end)

  it("refuses wrong arguments by name, before any record is sent", function()
    local before = assert(kafka.produce({ topic = TOPIC, key = KEY })).offset
    assert.equal('kafka.produce_all: record 2: field "topic" must be a string, got nil',
      error_of(kafka.produce_all, { { topic = TOPIC, key = KEY }, {} }))
    assert.equal("kafka.produce_all: record 1: the record must be a table, got \"x\"",
      error_of(kafka.produce_all, { "x" }))
    assert.equal("kafka.produce_all: record 1: there is no field \"timeout_ms\": there are"
      .. " topic, key, value, headers",
      error_of(kafka.produce_all, { { topic = TOPIC, timeout_ms = 5 } }))
    assert.equal('kafka.produce_all: there is no field "timeout": did you mean "timeout_ms"?',
      error_of(kafka.produce_all, {}, { timeout = 5 }))
    assert.equal(before + 1, assert(kafka.produce({ topic = TOPIC, key = KEY })).offset)
  end)
end)
