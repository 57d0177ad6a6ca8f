local json = require("json")
local redis = require("redis")

local function error_of(call, ...)
  local ok, message = pcall(call, ...)
  assert.is_false(ok)
  return message
end

before_each(function()
  assert(redis.call("FLUSHALL"))
end)

describe("redis.call", function()
  it("gives strings, states, integers and nil", function()
    assert.equal("OK", redis.call("SET", "a", "1"))
    assert.equal("1", redis.call("GET", "a"))
    assert.equal(2, redis.call("INCR", "a"))
    local value, failure = redis.call("GET", "none")
    assert.is_nil(value)
    assert.is_nil(failure)
  end)

  it("carries any bytes both ways", function()
    local bytes = "\0\255\r\n$5"
    redis.call("SET", bytes, bytes)
    assert.equal(bytes, redis.call("GET", bytes))
    assert.equal("", redis.call("ECHO", ""))
  end)

  it("keeps numbers exact: replies past 2^53 are strings of digits", function()
    redis.call("SET", "n", "9007199254740991")
    assert.equal("9007199254740992", redis.call("INCR", "n"))
    redis.call("SET", "n", 1000000000000000)
    assert.equal("1000000000000000", redis.call("GET", "n"))
    redis.call("SET", "n", 0.1)
    assert.equal("0.1", redis.call("GET", "n"))
  end)

  it("gives lists without holes: a missing item is false", function()
    redis.call("MSET", "a", "1", "c", "3")
    assert.same({ "1", false, "3" }, redis.call("MGET", "a", "b", "c"))
    assert.equal("[]", json.encode(redis.call("KEYS", "none")))
  end)

  it("reports an error of the server", function()
    redis.call("SET", "a", "text")
    local value, failure = redis.call("INCR", "a")
    assert.is_nil(value)
    assert.same({ kind = "input",
      message = "ERR value is not an integer or out of range" }, failure)
    assert.equal("text", redis.call("GET", "a"))
  end)

  it("refuses what waits, streams or changes the connection, and says why", function()
    assert.equal("redis.call: BLPOP is refused: it waits in the server, and would hold the"
      .. " script's thread", error_of(redis.call, "BLPOP", "a", 0))
    assert.equal("redis.call: subscribe is refused: it turns the connection into a stream",
      error_of(redis.call, "subscribe", "a"))
    assert.equal("redis.call: SELECT is refused: it changes the connection, which other calls"
      .. " share", error_of(redis.call, "SELECT", 1))
    assert.equal("redis.call: XREAD is refused: it waits in the server, and would hold the"
      .. " script's thread", error_of(redis.call, "XREAD", "block", 0, "STREAMS", "a", "0"))
    assert.is_nil((redis.call("XREAD", "STREAMS", "block", "0")))
    assert.equal("redis.call: XREADGROUP is refused: it waits in the server, and would hold the"
      .. " script's thread", error_of(redis.call, "XREADGROUP", "GROUP", "streams", "streams",
      "BLOCK", 0, "STREAMS", "a", ">"))
    local _, failure = redis.call("XREADGROUP", "GROUP", "block", "block", "STREAMS", "a", ">")
    assert.matches("NOGROUP", failure.message)
    assert.equal("redis.call: MULTI and its EXEC belong in one redis.pipeline",
      error_of(redis.call, "MULTI"))
  end)

  it("refuses wrong arguments by name", function()
    assert.equal("redis.call: the command must be a string, got nothing", error_of(redis.call))
    assert.equal("redis.call: argument 2 must be a string or a number, got nil",
      error_of(redis.call, "GET", nil))
    assert.equal("redis.call: argument 3 must be a string or a number, got true",
      error_of(redis.call, "SET", "a", true))
  end)
end)

describe("redis.pipeline", function()
  it("gives the replies in order", function()
    assert.same({ "OK", "1", false, 2 }, redis.pipeline({
      { "SET", "a", "1" }, { "GET", "a" }, { "GET", "none" }, { "INCR", "a" },
    }))
    assert.same({}, (redis.pipeline({})))
  end)

  it("gives an error its place, and goes on", function()
    local replies = redis.pipeline({ { "SET", "a", "x" }, { "INCR", "a" }, { "GET", "a" } })
    assert.equal("input", replies[2].error.kind)
    assert.equal("x", replies[3])
  end)

  it("runs MULTI to EXEC", function()
    local replies = redis.pipeline({
      { "MULTI" }, { "SET", "a", "1" }, { "INCR", "a" }, { "EXEC" },
    })
    assert.same({ "OK", "QUEUED", "QUEUED", { "OK", 2 } }, replies)
  end)

  it("refuses a MULTI that it would leave open, before anything is sent", function()
    assert.equal("redis.pipeline: MULTI needs its EXEC or DISCARD in the same redis.pipeline",
      error_of(redis.pipeline, { { "SET", "a", "1" }, { "MULTI" } }))
    assert.is_nil((redis.call("GET", "a")))
  end)

  it("refuses wrong arguments by name", function()
    assert.equal("redis.pipeline: the argument must be a list, got nil",
      error_of(redis.pipeline))
    assert.equal("redis.pipeline: command 2 must be a list, got \"GET\"",
      error_of(redis.pipeline, { { "GET", "a" }, "GET" }))
    assert.equal("redis.pipeline: command 1 is empty", error_of(redis.pipeline, { {} }))
    assert.equal("redis.pipeline: command 1: argument 2 must be a string or a number, got a table",
      error_of(redis.pipeline, { { "GET", {} } }))
    assert.equal("redis.pipeline: the argument must be a list: keys from 1 on without a gap",
      error_of(redis.pipeline, { a = {} }))
  end)
end)
