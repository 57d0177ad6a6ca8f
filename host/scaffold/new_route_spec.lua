local pg = require("doubles.pg")
local routes = require("testing.routes")

local PARAMS = @examples@

local function ask()
  return routes.call("routes/@name@", { params = PARAMS })
end

describe("routes.@name@", function()
  it("hands on what the database says, and what it depends on", function()
    pg.answers("@name@", { { body = '{"answer":1}', tags = { "id-1" } } })
    local response = ask()
    assert.are.equal(200, response.status, response.failure)
    assert.are.equal('{"answer":1}', response.body)
    assert.are.same({ [routes.tag("id-1")] = true }, response.tags)
    assert.are.same(PARAMS, pg.calls()[1].params)
  end)

  it("says 404 where there is no row, until there is one", function()
    local response = ask()
    assert.are.equal(404, response.status)
    for _, id in pairs(PARAMS) do
      assert.is_true(response.tags[routes.tag(id)])
    end
  end)

  it("says 400 for what the database cannot take", function()
    pg.fails("@name@", { kind = "input", sqlstate = "22021" })
    assert.are.equal(400, ask().status)
  end)

  it("says 503 where the database is away", function()
    pg.fails("@name@", { kind = "unavailable" })
    assert.are.equal(503, ask().status)
  end)
end)
