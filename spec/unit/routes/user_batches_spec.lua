local json = require("json")
local pg = require("doubles.pg")
local routes = require("testing.routes")

local function ask(query)
  return routes.call("routes/user_batches", { params = { user_id = "u-1" }, query = query })
end

local function params_of(query)
  local answer = ask(query)
  assert.are.equal(200, answer.status, answer.error or answer.failure)
  return pg.calls()[#pg.calls()].params
end

describe("routes.user_batches", function()
  before_each(function()
    pg.answers("user_batches", { { body = '{"batches":[]}' } })
  end)

  it("returns the database's text", function()
    assert.are.equal('{"batches":[]}', ask({}).body)
  end)

  it("names what the list depends on", function()
    pg.answers("user_batches", { { body = "{}", tags = { "u-1", "b-1" } } })
    assert.are.same({ [routes.tag("u-1")] = true, [routes.tag("b-1")] = true }, ask({}).tags)
  end)

  it("names nothing where that is too much", function()
    assert.are.same({}, ask({}).tags)
  end)

  it("is cached under what the list is asked with", function()
    assert.are.equal("ras:user:u-1:batches?limit=5&status=processing",
      ask({ status = "processing", limit = "5" }).cache_key)
  end)

  it("asks for the first page of 20 without a filter", function()
    assert.are.same({ user_id = "u-1", limit = 20, offset = 0, statuses = json.null,
      after_created_at = json.null, after_batch_id = json.null }, params_of({}))
  end)

  it("passes bounds and cursor on", function()
    local cursor = "2025-06-28T08:00:18.023860|b|1"
    assert.are.same({
      user_id = "u-1",
      limit = 100,
      offset = 7,
      statuses = json.null,
      after_created_at = "2025-06-28T08:00:18.023860",
      after_batch_id = "b|1",
    }, params_of({ limit = "100", offset = "7", cursor = cursor }))
  end)

  it("passes the filter on as this service's statuses", function()
    local params = params_of({ status = "processing,COMPLETED,failed_critically" })
    assert.are.same({ "PROCESSING", "COMPLETED", "FAILED" }, params.statuses)
  end)

  it("finds nothing for a status that no batch has, rather than everything", function()
    assert.are.same({}, params_of({ status = "ready" }).statuses)
  end)

  for message, query in pairs({
    ["limit must be a whole number from 1 to 100"] = { limit = "0" },
    ["offset must be a whole number, 0 or more"] = { offset = "-1" },
    ["cursor is invalid: use next_cursor of the previous page"] = { cursor = "yesterday" },
    ['unknown status "done"'] = { status = "done" },
  }) do
    it("gives 400: " .. message, function()
      local answer = ask(query)
      assert.are.equal(400, answer.status)
      assert.are.equal(message, answer.error)
      assert.are.same({}, pg.calls())
    end)
  end

  it("gives 400 for a value that the database refuses", function()
    pg.fails("user_batches", { kind = "input", sqlstate = "22021" })
    local answer = ask({})
    assert.are.equal(400, answer.status)
    assert.are.equal("Invalid user ID or cursor", answer.error)
  end)

  it("gives 503 while the statuses of many batches are derived", function()
    pg.answers("user_batches", { {} })
    assert.are.equal(503, ask({}).status)
  end)

  it("gives 503 if the database is unavailable", function()
    pg.fails("user_batches", { kind = "unavailable" })
    assert.are.equal(503, ask({}).status)
  end)
end)
