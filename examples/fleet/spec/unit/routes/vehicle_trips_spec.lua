local json = require("json")
local pg = require("doubles.pg")
local routes = require("testing.routes")

local function ask(query)
  return routes.call("routes/vehicle_trips", {
    params = { vehicle_id = "truck-01" },
    query = query,
  })
end

describe("routes.vehicle_trips", function()
  before_each(function()
    pg.answers("vehicle_trips", { { body = '{"trips":[],"next":null}' } })
  end)

  it("returns the first page", function()
    local response = ask()
    assert.are.equal(200, response.status, response.failure)
    assert.are.equal('{"trips":[],"next":null}', response.body)
    local params = { vehicle_id = "truck-01", limit = 20, after = json.null }
    assert.are.same(params, pg.calls()[1].params)
  end)

  it("returns the page after a trip", function()
    assert.are.equal(200, ask({ limit = "5", after = "trip-1" }).status)
    assert.are.same({ vehicle_id = "truck-01", limit = 5, after = "trip-1" }, pg.calls()[1].params)
  end)

  for _, query in ipairs({ { limit = "0" }, { limit = "101" }, { limit = "x" }, { after = "" },
    { lmit = "5" } }) do
    it("gives 400 for " .. json.encode(query), function()
      assert.are.equal(400, ask(query).status)
      assert.are.equal(0, #pg.calls())
    end)
  end

  it("gives 503 while the database is down", function()
    pg.fails("vehicle_trips", { kind = "unavailable" })
    assert.are.equal(503, ask().status)
  end)
end)
