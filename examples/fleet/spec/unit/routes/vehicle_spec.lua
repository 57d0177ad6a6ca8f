local pg = require("doubles.pg")
local routes = require("testing.routes")

local function ask(vehicle_id)
  return routes.call("routes/vehicle", { params = { vehicle_id = vehicle_id } })
end

describe("routes.vehicle", function()
  it("returns the vehicle, which depends on its events", function()
    pg.answers("vehicle", { { body = '{"vehicle_id":"truck-01"}', tags = { "truck-01" } } })
    local response = ask("truck-01")
    assert.are.equal(200, response.status, response.failure)
    assert.are.equal('{"vehicle_id":"truck-01"}', response.body)
    assert.are.same({ [routes.tag("truck-01")] = true }, response.tags)
    assert.are.same({ vehicle_id = "truck-01" }, pg.calls()[1].params)
  end)

  it("gives 404 for an unknown vehicle, until its first event", function()
    local response = ask("truck-99")
    assert.are.equal(404, response.status)
    assert.are.equal("Vehicle not found", response.error)
    assert.are.same({ [routes.tag("truck-99")] = true }, response.tags)
  end)

  it("gives 400 for an id that the database refuses", function()
    pg.fails("vehicle", { kind = "input", sqlstate = "22021" })
    assert.are.equal(400, ask("truck-01").status)
  end)

  it("gives 503 while the database is down", function()
    pg.fails("vehicle", { kind = "unavailable" })
    assert.are.equal(503, ask("truck-01").status)
  end)
end)
