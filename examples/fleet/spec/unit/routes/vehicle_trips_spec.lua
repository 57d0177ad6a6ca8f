local json = require("json")
local pg = require("doubles.pg")
local routes = require("testing.routes")

local TRIP = "0b7c1d52-3f0e-4c4a-9a57-2f6a6f1f4a01"

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
    assert.are.same({ [routes.tag("truck-01")] = true }, response.tags)
    local params = { vehicle_id = "truck-01", limit = 20, after = json.null }
    assert.are.same(params, pg.calls()[1].params)
  end)

  it("returns the page after a trip", function()
    assert.are.equal(200, ask({ limit = "5", after = TRIP }).status)
    local params = { vehicle_id = "truck-01", limit = 5, after = TRIP }
    assert.are.same(params, pg.calls()[1].params)
  end)

  for _, query in ipairs({
    { limit = "0" },
    { limit = "101" },
    { limit = "x" },
    { after = "trip-1" },
    { lmit = "5" },
  }) do
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
