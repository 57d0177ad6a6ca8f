local json = require("json")
local pg = require("pg")

--- The message of the error that the call raises.
local function error_of(call, ...)
  local ok, message = pcall(call, ...)
  assert.is_false(ok)
  return message
end

local NAMES = {
  values = { "text", "boolean", "small", "integer", "big", "single", "double", "numeric", "json",
    "bytes", "moment" },
  lists = { "texts", "bigs", "booleans", "uuids" },
}

--- Asks with NULL for every parameter that is not given.
local function ask(name, params)
  for _, key in ipairs(NAMES[name]) do
    if params[key] == nil then
      params[key] = json.null
    end
  end
  return pg.query(name, params)
end

local function query_values(params)
  return ask("values", params)
end

local function query_lists(params)
  return ask("lists", params)
end

describe("pg.query", function()
  it("gives a list of rows by column name", function()
    local rows = assert(query_values({ text = "Åsa" }))
    assert.equal(1, #rows)
    assert.equal("Åsa", rows[1].text)
  end)

  it("rewrites no parameter within quotes, dollar quotes and comments", function()
    local row = assert(query_values({ text = "x" }))[1]
    assert.same({ ":text", "':text", ":text" }, { row.quoted, row.escaped, row.dollars })
  end)

  it("gives booleans, numbers and text their types, and NULL as nil", function()
    local row = assert(query_values({
      boolean = false, small = -3, integer = 2147483647, single = 0.5, double = 0.1,
      numeric = "2.998155", moment = "2026-01-02 03:04:05.000006+01", text = json.null,
    }))[1]
    assert.is_false(row.boolean)
    assert.equal(-3, row.small)
    assert.equal(2147483647, row.integer)
    assert.equal(0.5, row.single)
    assert.equal(0.1, row.double)
    assert.equal("2.998155", row.numeric)
    assert.equal("2026-01-02 02:04:05.000006+00", row.moment)
    assert.is_nil(row.text)
  end)

  it("keeps integers exact: past 2^53 as strings of digits", function()
    local function big(value)
      return assert(query_values({ big = value }))[1].big
    end
    assert.equal(9007199254740991, big(9007199254740991))
    assert.equal(-1000000000000000, big(-1000000000000000))
    assert.equal("9007199254740993", big("9007199254740993"))
    assert.equal("-9223372036854775808", big("-9223372036854775808"))
  end)

  it("keeps doubles exact", function()
    local row = assert(query_values({ double = 2 / 3, numeric = 0.1 + 0.2 }))[1]
    assert.equal(2 / 3, row.double)
    assert.equal("0.30000000000000004", row.numeric)
    assert.equal(math.huge, assert(query_values({ double = math.huge }))[1].double)
  end)

  it("passes JSON through as text", function()
    local row = assert(query_values({ json = '{"n": 12345678901234567.5}' }))[1]
    assert.equal('{"n": 12345678901234567.5}', row.json)
  end)

  it("carries any bytes as pg.bytes, and gives bytea as a string", function()
    local bytes = "\0\255'\\x"
    assert.equal(bytes, assert(query_values({ bytes = pg.bytes(bytes) }))[1].bytes)
    assert.equal("", assert(query_values({ bytes = pg.bytes("") }))[1].bytes)
  end)

  it("takes lists and gives lists", function()
    local row = assert(query_lists({
      texts = { 'a"b', "c\\d", "", "NULL", "x,y {}", json.null },
      bigs = { 1, "9007199254740993" },
      booleans = { true, false },
      uuids = { "6F9619FF-8B86-D011-B42D-00C04FC964FF" },
    }))[1]
    assert.same({ 'a"b', "c\\d", "", "NULL", "x,y {}", json.null }, row.texts)
    assert.same({ 1, "9007199254740993" }, row.bigs)
    assert.same({ true, false }, row.booleans)
    assert.same({ "6f9619ff-8b86-d011-b42d-00c04fc964ff" }, row.uuids)
    assert.same({ "a", "b" }, row.bounds)
    assert.same({ { 1, 2 }, { 3, json.null } }, row.matrix)
    assert.same({ "\0\255" }, row.bytes)
  end)

  it("gives an empty list that json writes as []", function()
    assert.equal("[]", json.encode(assert(query_lists({ texts = {} }))[1].texts))
  end)

  it("says how many rows a statement changed that returns none", function()
    assert(pg.query("create"))
    assert(pg.query("clear"))
    assert.equal(1, assert(pg.query("add", { name = "a" })).affected)
    assert.equal(1, assert(pg.query("clear")).affected)
  end)

  it("reports what the database refuses, with its SQLSTATE", function()
    local rows, failure = pg.query("divide", { divisor = 0 })
    assert.is_nil(rows)
    assert.same({ kind = "input", sqlstate = "22012", message = "divide: division by zero" },
      failure)
    assert(pg.query("divide", { divisor = 1 }))
  end)

  it("refuses text that Postgres cannot hold before it is sent", function()
    local _, failure = query_values({ text = "a\0b" })
    assert.same({ kind = "input", sqlstate = "22021",
      message = 'values: parameter "text" holds a NUL byte' }, failure)
    _, failure = query_values({ text = "a\255" })
    assert.equal('values: parameter "text" is not valid UTF-8', failure.message)
    _, failure = query_lists({ texts = { "good", "\0" } })
    assert.equal('lists: parameter "texts" holds a NUL byte', failure.message)
  end)

  it("asks again where a migration changed what a prepared statement returns", function()
    assert(pg.query("create"))
    assert(pg.query("everything"))
    assert(pg.query("widen"))
    assert.same({}, (assert(pg.query("everything"))))
  end)

  it("names a parameter that the query does not have, and the nearest", function()
    assert.equal('pg.query: "divide" has no parameter "divsor": did you mean "divisor"?'
      .. " (sql/queries/divide.sql)",
      error_of(pg.query, "divide", { divsor = 1 }))
    assert.equal('pg.query: "session" has no parameters, got "x" (sql/queries/session.sql)',
      error_of(pg.query, "session", { x = 1 }))
  end)

  it("refuses a parameter that is not given, which would be NULL", function()
    local message = 'pg.query: parameter "divisor" of "divide" is not given: give it a value, or'
      .. " json.null where NULL is meant (sql/queries/divide.sql)"
    local name = "divide" -- a literal is refused when scripts are loaded
    assert.equal(message, error_of(pg.query, name))
    assert.equal(message, error_of(pg.query, name, {}))
    assert(pg.query(name, { divisor = json.null }))
  end)

  it("raises where the script gives a type that the query does not take, and fails for a text of a"
    .. " wrong form", function()
    local function message(name, params)
      return error_of(ask, name, params)
    end
    assert.matches('^pg.query: parameter "integer" of "values" is a boolean, which its type does'
      .. " not take: .*true", message("values", { integer = true }))
    assert.matches('parameter "small" of "values" is a number', message("values", { small = 1.5 }))
    assert.matches('parameter "integer" of "values" is a table',
      message("values", { integer = {} }))
    assert.matches('parameter "texts" of "lists" is a string', message("lists", { texts = "a" }))
    local rows, failure = query_values({ integer = "true" })
    assert.is_nil(rows)
    assert.equal("22P02", failure.sqlstate)
  end)

  it("refuses wrong arguments by name", function()
    assert.equal("pg.query: the query's name must be a string, got nothing", error_of(pg.query))
    assert.equal("pg.query: the query's name must be a string, got the number 5",
      error_of(pg.query, 5))
    assert.equal("pg.query: the query's name must be a string that is not empty and holds no NUL,"
      .. ' got "a?b"', error_of(pg.query, "a\0b"))
    assert.equal('pg.query: no query "evrything": did you mean "everything"?'
      .. " (it would be sql/queries/evrything.sql)", error_of(pg.query, "evrything"))
    assert.equal('pg.query: params must be a table, got "x"', error_of(pg.query, "values", "x"))
    assert.equal("pg.query: the name of a parameter must be a string, got the number 1",
      error_of(pg.query, "values", { "x" }))
    assert.equal('pg.query: parameter "text" must be a string, number, boolean, list, pg.bytes(…)'
      .. " or json.null, got a function", error_of(pg.query, "values", { text = error }))
    assert.equal('pg.query: item 2 of parameter "texts" must be a string, number, boolean or'
      .. " json.null, got a table", error_of(pg.query, "lists", { texts = { "a", {} } }))
    assert.equal('pg.query: parameter "texts" must be a list: keys from 1 on without a gap',
      error_of(pg.query, "lists", { texts = { a = 1 } }))
    assert.equal("pg.bytes: the argument must be a string, got nil", error_of(pg.bytes, nil))
  end)

  it("refuses to read a column that the query does not return, with the nearest", function()
    local row = assert(pg.query("session"))[1]
    local name = next(row)
    assert.is_nil(row[1])
    local ok, message = pcall(function()
      return row[name .. "x"]
    end)
    assert.is_false(ok)
    assert.truthy(message:find('^spec/bindings/pg_spec.lua:%d+: the row has no column "' .. name
      .. 'x": did you mean "' .. name .. '"%? %(sql/queries/session.sql%)'), message)
  end)

  it("gives a column that is null as nil", function()
    local row = assert(query_values({}))[1]
    assert.is_nil(row.text)
  end)

  it("refuses a query that returns two columns of one name", function()
    assert.equal('pg.query: "twice" returns two columns named "a"', error_of(pg.query, "twice"))
  end)

  it("points at the line that called it", function()
    local ok, message = pcall(function()
      local rows = pg.query("none")
      return rows
    end)
    assert.is_false(ok)
    assert.truthy(message:find("^spec/bindings/pg_spec.lua:%d+: pg.query: no query"))
  end)
end)

describe("pg.transaction", function()
  local function names()
    local list = {}
    for i, row in ipairs(assert(pg.query("names"))) do
      list[i] = row.name
    end
    return list
  end

  before_each(function()
    assert(pg.query("create"))
    assert(pg.query("clear"))
  end)

  it("commits what was done and returns what the function returned", function()
    local a, b = pg.transaction(function(tx)
      assert(tx.query("add", { name = "a" }))
      assert(tx.query("add", { name = "b" }))
      return "x", 2
    end)
    assert.same({ "x", 2 }, { a, b })
    assert.same({ "a", "b" }, names())
  end)

  it("returns true where the function returned nothing", function()
    assert.is_true(pg.transaction(function() end))
  end)

  it("rolls back and raises again what the function raised", function()
    local ok, message = pcall(pg.transaction, function(tx)
      assert(tx.query("add", { name = "a" }))
      error("no", 0)
    end)
    assert.is_false(ok)
    assert.equal("no", message)
    assert.same({}, names())
  end)

  it("raises again values that are no strings", function()
    local ok, value = pcall(pg.transaction, function()
      error({ code = 5 })
    end)
    assert.is_false(ok)
    assert.same({ code = 5 }, value)
  end)

  it("rolls back on tx.rollback, and the function goes on", function()
    local said = pg.transaction(function(tx)
      assert(tx.query("add", { name = "a" }))
      tx.rollback()
      return "given up"
    end)
    assert.equal("given up", said)
    assert.same({}, names())
  end)

  it("cannot be committed after a failed statement, and returns the failure", function()
    local result, failure = pg.transaction(function(tx)
      assert(tx.query("add", { name = "a" }))
      tx.query("divide", { divisor = 0 })
      local rows, again = tx.query("add", { name = "b" })
      assert.is_nil(rows)
      assert.equal("22012", again.sqlstate)
      return "done"
    end)
    assert.is_nil(result)
    assert.equal("22012", failure.sqlstate)
    assert.same({}, names())
  end)

  it("uses one connection, and leaves it outside a transaction", function()
    local before = assert(pg.query("session"))[1].pid
    local within = pg.transaction(function(tx)
      assert(tx.query("add", { name = "a" }))
      local row = assert(tx.query("session"))[1]
      assert.is_true(row.writing)
      return row.pid
    end)
    assert.equal(before, within)
    assert.same({ { pid = before, writing = false } }, assert(pg.query("session")))
  end)

  it("refuses pg.query and another transaction inside", function()
    assert.is_true(pg.transaction(function()
      assert.equal("pg.query: a transaction is under way: use its tx.query",
        error_of(pg.query, "names"))
      assert.equal("pg.transaction: a transaction is under way: they cannot be nested",
        error_of(pg.transaction, function() end))
    end))
  end)

  it("refuses a tx after its end, also during the next one", function()
    local kept
    pg.transaction(function(tx)
      kept = tx
    end)
    assert.equal("tx.query: the transaction has ended", error_of(kept.query, "names"))
    pg.transaction(function()
      assert.equal("tx.query: the transaction has ended", error_of(kept.query, "names"))
      assert.equal("tx.rollback: the transaction has ended", error_of(kept.rollback))
    end)
  end)

  it("refuses a value that is no function", function()
    assert.equal("pg.transaction: the argument must be a function, got nothing",
      error_of(pg.transaction))
  end)
end)

describe("pg.each", function()
  --- The count or the failure, and the numbers that were visited.
  local function visit(params, each)
    local seen = {}
    params.width, params.bad = params.width or 1, params.bad or -1
    local count, failure = pg.each("numbers", params, function(row)
      seen[#seen + 1] = row.n
      if each then
        each(row)
      end
    end)
    return count, failure, seen
  end

  it("visits each row once, in order, however many there are", function()
    for _, count in ipairs({ 0, 1, 15, 16, 17, 5000 }) do
      local got, failure, seen = visit({ count = count })
      assert.is_nil(failure)
      assert.equal(count, got)
      assert.equal(count, #seen)
      for i = 1, count do
        assert.equal(i, seen[i])
      end
    end
  end)

  it("visits long rows in less memory than all of them have", function()
    local bytes = 0
    assert.equal(70, (visit({ count = 70, width = 1000000 }, function(row)
      bytes = bytes + #row.filler
    end)))
    assert.equal(70000000, bytes)
  end)

  it("returns the failure of a later part after the rows before it", function()
    local count, failure, seen = visit({ count = 100, bad = 50 })
    assert.is_nil(count)
    assert.equal("22012", failure.sqlstate)
    assert.equal(16, #seen)
  end)

  it("raises again what the visitor raised, and leaves the connection usable", function()
    local before = assert(pg.query("session"))[1].pid
    local message = error_of(visit, { count = 100 }, function()
      error("no more", 0)
    end)
    assert.equal("no more", message)
    assert.same({ { pid = before, writing = false } }, assert(pg.query("session")))
  end)

  it("refuses pg.query and another pg.each inside", function()
    assert.equal(1, (visit({ count = 1 }, function()
      assert.equal("pg.query: pg.each is under way: ask before or after it",
        error_of(pg.query, "names"))
      assert.truthy(error_of(visit, { count = 1 })
        :find("pg.each: pg.each is under way: ask before or after it", 1, true))
    end)))
  end)

  it("refuses a visitor that is no function, and a statement that no cursor reads", function()
    assert.equal("pg.each: the third argument must be a function, got nothing",
      error_of(pg.each, "numbers", {}))
    local count, failure = pg.each("create", {}, function() end)
    assert.is_nil(count)
    assert.equal("42601", failure.sqlstate)
  end)
end)
