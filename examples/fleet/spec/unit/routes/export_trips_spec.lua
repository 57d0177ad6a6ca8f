local pg = require("doubles.pg")
local routes = require("testing.routes")

local function ask()
  return routes.call("routes/export_trips", { params = { depot_id = "north" } })
end

describe("routes.export_trips", function()
  it("writes a line for each trip", function()
    pg.answers("export_trips", { { trip = '{"trip_id":"a"}' }, { trip = '{"trip_id":"b"}' } })
    local response = ask()
    assert.are.equal(200, response.status, response.failure)
    assert.are.equal("application/x-ndjson", response.headers["Content-Type"])
    assert.are.same({ '{"trip_id":"a"}\n', '{"trip_id":"b"}\n' }, response.parts)
    assert.are.same({ depot_id = "north" }, pg.calls()[1].params)
  end)

  it("writes nothing for a depot without trips", function()
    assert.are.equal("", ask().body)
  end)

  it("gives 503 while the database is down", function()
    pg.fails("export_trips", { kind = "unavailable" })
    assert.are.equal(503, ask().status)
  end)
end)
