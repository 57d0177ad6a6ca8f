local json = require("json")
local kafka = require("doubles.kafka")
local pg = require("doubles.pg")
local handlers = require("testing.handlers")
local routes = require("testing.routes")

local EVENT_ID = "5f1c0f5e-7a52-4c5e-8d0a-000000000009"
local VAN = { vehicle_id = "van-1", plate = "VAN 001", depot_id = "north" }

local function register(body, headers)
  return routes.call("routes/register_vehicle", {
    headers = headers or { ["Idempotency-Key"] = "key-1", ["X-Caller"] = "dispatch" },
    body = body or VAN,
    correlation_id = "a-request",
  })
end

local function known(is_same)
  pg.answers("register_vehicle", {
    { event_id = EVENT_ID, requested_at = "2026-03-02T08:00:00.000000Z", is_same = is_same },
  })
end

describe("routes.register_vehicle", function()
  it("publishes the event, and says where the vehicle will be", function()
    known(true)
    local response = register()
    assert.are.equal(202, response.status, response.failure or response.error)
    assert.are.equal("/v1/vehicles/van-1", response.headers.Location)
    assert.are.same({ vehicle_id = "van-1", event_id = EVENT_ID }, json.decode(response.body))
    assert.are.equal(1, #kafka.produced())
    local record = kafka.produced()[1]
    assert.are.equal("fleet.vehicle.registered.v1", record.topic)
    assert.are.equal("van-1", record.key)
  end)

  it("publishes an event that the handler applies", function()
    known(true)
    register()
    local outcome = handlers.run("handlers/vehicle_registered", kafka.produced()[1].value)
    assert.are.equal("applied", outcome.result, outcome.reason)
    assert.are.same({ plate = "VAN 001", depot_id = "north" }, outcome.merges[1].columns)
    assert.are.equal(EVENT_ID, outcome.merges[1].event_id)
  end)

  it("publishes the same bytes for a repeated request", function()
    known(true)
    register()
    register()
    assert.are.equal(kafka.produced()[1].value, kafka.produced()[2].value)
  end)

  it("keeps the keys of two callers apart", function()
    known(true)
    register()
    register(nil, { ["Idempotency-Key"] = "key-1", ["X-Caller"] = "depot-board" })
    local callers = {}
    for i, call in ipairs(pg.calls()) do
      callers[i] = call.params.caller
    end
    assert.are.same({ "dispatch", "depot-board" }, callers)
  end)

  it("gives 422 for a key that was used for another vehicle, and publishes nothing", function()
    known(false)
    assert.are.equal(422, register().status)
    assert.are.equal(0, #kafka.produced())
  end)

  for _, body in ipairs({ "no JSON", "{}", { vehicle_id = "van 1/ä", plate = "P", depot_id = "d" },
    { vehicle_id = "", plate = "P", depot_id = "d" } }) do
    it("gives 400 for the body " .. json.encode(body), function()
      assert.are.equal(400, register(body).status)
      assert.are.equal(0, #pg.calls())
    end)
  end

  it("gives 400 without an Idempotency-Key", function()
    assert.are.equal(400, register(nil, {}).status)
  end)

  it("gives 400 for a text that the database refuses", function()
    pg.fails("register_vehicle", { kind = "input", sqlstate = "22P05" })
    assert.are.equal(400, register().status)
  end)

  it("gives 503 while the database or Kafka is down", function()
    pg.fails("register_vehicle", { kind = "unavailable" })
    assert.are.equal(503, register().status)
    known(true)
    kafka.fails()
    assert.are.equal(503, register().status)
  end)
end)
