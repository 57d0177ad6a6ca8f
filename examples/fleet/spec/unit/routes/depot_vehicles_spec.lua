local pg = require("doubles.pg")
local routes = require("testing.routes")
local tags = require("lib.tags")

local function ask()
  return routes.call("routes/depot_vehicles", { params = { depot_id = "north" } })
end

describe("routes.depot_vehicles", function()
  it("returns the vehicles, and what the list depends on", function()
    local row = { body = '{"vehicles":[]}', tags = { "truck-01", tags.depot("north") } }
    pg.answers("depot_vehicles", { row })
    local response = ask()
    assert.are.equal(200, response.status, response.failure)
    assert.are.equal('{"vehicles":[]}', response.body)
    assert.are.same({
      [routes.tag("truck-01")] = true,
      [routes.tag("depot:north")] = true,
    }, response.tags)
    assert.are.same({ depot_id = "north" }, pg.calls()[1].params)
  end)

  it("gives 400 for an id that the database refuses", function()
    pg.fails("depot_vehicles", { kind = "input", sqlstate = "22021" })
    assert.are.equal(400, ask().status)
  end)

  it("gives 503 while the database is down", function()
    pg.fails("depot_vehicles", { kind = "timeout" })
    assert.are.equal(503, ask().status)
  end)
end)
