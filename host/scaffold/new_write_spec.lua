local pg = require("doubles.pg")
local routes = require("testing.routes")

local PARAMS = @examples@

local function ask(body)
  return routes.call("routes/@name@", { params = PARAMS, body = body or { text = "a text" } })
end

describe("routes.@name@", function()
  it("writes the text and returns what the database says", function()
    pg.answers("@name@", { { body = '{"answer":1}'@given@ } })
    local response = ask()
    assert.are.equal(@status@, response.status, response.failure or response.error)
    assert.are.equal('{"answer":1}', response.body)
    assert.are.equal("a text", pg.calls()[1].params.text)@located@
  end)

  it("says 400 for a body that is not declared, and writes nothing", function()
    for _, body in ipairs({ {}, { text = "" }, { text = 1 }, "no JSON" }) do
      assert.are.equal(400, ask(body).status)
    end
    assert.are.equal(0, #pg.calls())
  end)

  it("says 404 where there is no row", function()
    assert.are.equal(404, ask().status)
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
