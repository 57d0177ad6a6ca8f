local pg = require("doubles.pg")
local routes = require("testing.routes")

local function ask()
  return routes.call("routes/item", { params = { item_id = "item-1" } })
end

describe("routes.item", function()
  it("hands on what the database says, and what it depends on", function()
    pg.answers("item", { { body = '{"state":"open"}' } })
    local response = ask()
    assert.are.equal(200, response.status, response.failure)
    assert.are.equal('{"state":"open"}', response.body)
    assert.are.same({ [routes.tag("item-1")] = true }, response.tags)
  end)

  it("says 404 until the item has an event", function()
    local response = ask()
    assert.are.equal(404, response.status)
    assert.is_true(response.tags[routes.tag("item-1")])
  end)

  it("says 400 for what the database cannot take", function()
    pg.fails("item", { kind = "input", sqlstate = "22021" })
    assert.are.equal(400, ask().status)
  end)

  it("says 503 where the database is away", function()
    pg.fails("item", { kind = "unavailable" })
    assert.are.equal(503, ask().status)
  end)
end)
