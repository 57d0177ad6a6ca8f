local pg = require("doubles.pg")
local routes = require("testing.routes")

local function ask(batch_id)
  return routes.call("routes/batch_status", { params = { batch_id = batch_id } })
end

describe("routes.batch_status", function()
  it("returns the database's text and its surrogate keys", function()
    pg.answers("batch_status", { { body = '{"batch_id":"b-1"}', tags = { "b-1", "essay-1" } } })
    local answer = ask("b-1")
    assert.are.equal(200, answer.status)
    assert.are.equal('{"batch_id":"b-1"}', answer.body)
    assert.are.same({ [routes.tag("b-1")] = true, [routes.tag("essay-1")] = true }, answer.tags)
    assert.are.same({ batch_id = "b-1" }, pg.calls()[1].params)
  end)

  it("gives 404 for an unknown batch until its registration", function()
    local answer = ask("b-2")
    assert.are.equal(404, answer.status)
    assert.are.equal("Batch not found", answer.error)
    assert.are.same({ [routes.tag("b-2")] = true }, answer.tags)
  end)

  for _, kind in ipairs({ "unavailable", "timeout" }) do
    it("gives 503 with Retry-After if the database is " .. kind, function()
      pg.fails("batch_status", { kind = kind })
      local answer = ask("b-1")
      assert.are.equal(503, answer.status)
      assert.are.equal("Service unavailable", answer.error)
      assert.is_true(answer.retry_after > 0)
    end)
  end

  it("gives 400 for an id that the database refuses", function()
    pg.fails("batch_status", { kind = "input", sqlstate = "22021" })
    local answer = ask("a\0b")
    assert.are.equal(400, answer.status)
    assert.are.equal("Invalid batch ID", answer.error)
  end)

  it("fails, and says why, where the query is wrong", function()
    pg.fails("batch_status", { kind = "input", sqlstate = "42P01", message = "no such table" })
    local answer = ask("b-1")
    assert.are.equal(500, answer.status)
    assert.is_truthy(answer.failure:find("input 42P01: no such table", 1, true))
  end)
end)
