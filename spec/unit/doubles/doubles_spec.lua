-- The doubles refuse what the bindings refuse, and are steered as their comments say.
local clock = require("doubles.clock")
local http = require("doubles.http")
local json = require("json")
local kafka = require("doubles.kafka")
local log = require("doubles.log")
local metrics = require("doubles.metrics")
local pg = require("doubles.pg")
local redis = require("doubles.redis")
local sources = require("testing.sources")

local function functions_of(binding)
  local names = {}
  for name, value in pairs(binding) do
    names[#names + 1] = type(value) == "function" and name or nil
  end
  table.sort(names)
  return names
end

local DOUBLES = {
  clock = clock,
  http = http,
  kafka = kafka,
  log = log,
  metrics = metrics,
  pg = pg,
  redis = redis,
}

describe("the double of", function()
  for name, double in pairs(DOUBLES) do
    it(name .. " is what scripts get", function()
      assert.are.equal(double.binding, require(name))
    end)

    local real = sources.binding(name)
    if real then
      it(name .. " has every function of the binding", function()
        for _, key in ipairs(functions_of(real)) do
          assert.is_function(double.binding[key], key)
        end
      end)
    end
  end
end)

describe("the double of pg", function()
  local query = pg.binding.query

  it("responds, fails, and keeps the calls", function()
    pg.answers("batch_status", { { body = "x" } })
    assert.are.same({ { body = "x" } }, query("batch_status", { batch_id = "b" }))
    pg.fails("batch_status", { kind = "timeout" })
    local rows, failure = query("batch_status", { batch_id = json.null })
    assert.is_nil(rows)
    assert.are.same({ kind = "timeout", message = "the double fails", sqlstate = "" }, failure)
    assert.are.equal(2, #pg.calls())
    assert.are.equal("b", pg.calls()[1].params.batch_id)
  end)

  it("has no state in the next test", function()
    assert.are.same({}, pg.calls())
    assert.are.same({}, query("batch_status", { batch_id = "b" }))
  end)

  it("refuses a query without a file", function()
    local message = 'pg: no query "batch_statsu": did you mean "batch_status"?'
      .. " (it would be sql/queries/batch_statsu.sql)"
    assert.has_error(function()
      query("batch_statsu")
    end, message)
    assert.has_error(function()
      pg.answers("batch_statsu", {})
    end, message)
  end)

  it("refuses a parameter that the file does not have", function()
    assert.has_error(function()
      query("batch_status", { batch = "b" })
    end, 'pg: query "batch_status" has no parameter "batch": did you mean "batch_id"?'
      .. " (sql/queries/batch_status.sql)")
  end)

  it("refuses parameters of types that have no form", function()
    assert.has_error(function()
      query("batch_status", { batch_id = query })
    end, 'pg: parameter "batch_id" is a function')
    assert.has_error(function()
      query("batch_status", "b")
    end)
    assert.has_error(function()
      query(nil)
    end)
  end)

  it("runs a transaction, and says which calls were in it", function()
    local result = pg.binding.transaction(function(tx)
      tx.query("batch_status", { batch_id = "b" })
      return "done"
    end)
    assert.are.equal("done", result)
    assert.is_true(pg.calls()[1].in_transaction)
  end)

  it("commits nothing after a failure, and goes on after a rollback", function()
    pg.fails("batch_status", { kind = "timeout" })
    local function ask(undo)
      return pg.binding.transaction(function(tx)
        tx.query("batch_status", { batch_id = "b" })
        if undo then
          tx.rollback()
        end
      end)
    end
    local result, failure = ask(false)
    assert.is_nil(result)
    assert.are.equal("timeout", failure.kind)
    assert.is_true(ask(true))
  end)
end)

describe("the double of redis", function()
  it("replies by command, alone and in a pipeline", function()
    redis.answers("get", "value")
    assert.are.equal("value", redis.binding.call("GET", "key"))
    assert.is_nil((redis.binding.call("TTL", "key")))
    assert.are.same({ "value", false },
      redis.binding.pipeline({ { "GET", "a" }, { "TTL", "b" } }))
    assert.are.same({ "TTL", "b" }, redis.calls()[4])
  end)

  it("fails if a spec sets a failure", function()
    redis.fails()
    local reply, failure = redis.binding.call("PING")
    assert.is_nil(reply)
    assert.are.equal("unavailable", failure.kind)
    assert.is_nil((redis.binding.pipeline({ { "PING" } })))
  end)

  it("refuses a value that is no command", function()
    assert.has_error(redis.binding.call)
    assert.has_error(function()
      redis.binding.call("GET", {})
    end)
    assert.has_error(function()
      redis.binding.pipeline({ "GET" })
    end)
  end)
end)

describe("the double of kafka", function()
  it("keeps the produced records, and gives places", function()
    assert.are.same({ partition = 0, offset = 0 }, kafka.binding.produce({ topic = "t" }))
    local places = kafka.binding.produce_all({ { topic = "t", value = "v" } })
    assert.are.equal(1, places[1].offset)
    assert.are.equal("v", kafka.produced()[2].value)
  end)

  it("fails if a spec sets a failure", function()
    kafka.fails({ kind = "timeout" })
    assert.are.same({ kind = "timeout" }, select(2, kafka.binding.produce({ topic = "t" })))
    assert.is_nil((kafka.binding.produce_all({ { topic = "t" } })))
    assert.are.same({}, kafka.produced())
  end)

  it("refuses a value that is no message", function()
    assert.has_error(function()
      kafka.binding.produce({ value = "v" })
    end, "produce: `topic` takes a string, not a nil")
    assert.has_error(function()
      kafka.binding.produce({ topic = "t", vaule = "v" })
    end, "produce: no key `vaule`")
  end)
end)

describe("the double of http", function()
  it("responds by URL, and gives 404 for others", function()
    http.answers("http://a/", { status = 201, body = "b" })
    local answer = http.binding.request({ url = "http://a/", method = "POST" })
    assert.are.same({ status = 201, headers = {}, body = "b" }, answer)
    assert.are.equal(404, http.binding.request({ url = "http://b/" }).status)
    assert.are.equal("POST", http.requests()[1].method)
  end)

  it("fails if a spec sets a failure", function()
    http.fails("http://a/")
    assert.is_nil((http.binding.request({ url = "http://a/" })))
  end)
end)

describe("the double of the clock", function()
  it("keeps its time until it is advanced", function()
    local wall = clock.binding.wall()
    clock.advance(1.5)
    assert.are.equal(1.5, clock.binding.monotonic())
    assert.are.equal(wall + 1.5, clock.binding.wall())
  end)

  it("writes times as the binding does", function()
    assert.are.equal("2026-01-31T08:00:00.000001Z", clock.binding.rfc3339(1769846400000001))
  end)
end)

describe("the double of log", function()
  it("keeps lines", function()
    log.binding.warning("odd", { essay_id = "e" })
    assert.are.same({ level = "warning", message = "odd", fields = { essay_id = "e" } },
      log.lines()[1])
    assert.has_error(function()
      log.binding.info(nil)
    end)
  end)
end)

describe("the double of metrics", function()
  it("counts by labels", function()
    local counter = metrics.binding.counter("seen_total", "What was seen.", { "kind", "source" })
    counter:add(2, { kind = "a", source = "b" })
    counter:add(1, { kind = "a", source = "b" })
    assert.are.equal(3, metrics.value("seen_total", { kind = "a", source = "b" }))
    assert.is_nil(metrics.value("seen_total", { kind = "a", source = "c" }))
  end)

  it("refuses labels that are not the metric's", function()
    local counter = metrics.binding.counter("read_total", "What was read.", { "kind" })
    assert.has_error(function()
      counter:add(1)
    end, "read_total: the label `kind` is missing")
    assert.has_error(function()
      counter:add(1, { kind = "a", sort = "b" })
    end, "read_total: no label `sort`")
  end)

  it("keeps a gauge's last value, which may also be moved", function()
    local gauge = metrics.binding.gauge("depth", "How deep.")
    gauge:set(5)
    gauge:set(3)
    gauge:add(1)
    assert.are.equal(4, metrics.value("depth"))
    assert.is_nil(gauge.observe)
  end)
end)
