local reactions = require("testing.reactions")

local function publish(changes)
  local row = {
    key = "trip-1",
    vehicle_id = "truck-01",
    driver_id = "driver-7",
    distance_km = 12.375,
    started_at = "2026-03-02T08:04:00.250000Z",
    ended_at = "2026-03-02T08:35:00.250000Z",
    at_us = 1772440500250000,
  }
  for name, value in pairs(changes or {}) do
    row[name] = value
  end
  return assert(reactions.run("reactions/trip_completed", row))[1]
end

describe("reactions.trip_completed", function()
  it("publishes the trip", function()
    local message = publish()
    assert.are.equal("fleet.trip.completed.v1", message.topic)
    assert.are.equal("trip-1", message.key)
    assert.are.equal(1772440500250000, message.at)
    assert.are.equal(message.identity, message.value.id)
    assert.are.equal("2026-03-02T08:35:00.250000Z", message.value.time)
    assert.are.same({
      trip_id = "trip-1",
      vehicle_id = "truck-01",
      driver_id = "driver-7",
      started_at = "2026-03-02T08:04:00.250000Z",
      ended_at = "2026-03-02T08:35:00.250000Z",
      distance_km = 12.375,
    }, message.value.data)
  end)

  it("publishes a trip of a wrong clock: the outbox settles the oldest", function()
    assert.are.equal(946684800000000, publish({ at_us = 1800000000 }).at)
    assert.is_true(publish({ at_us = "253402243275351582" }).at > 1772440500250000)
  end)

  it("gives the same trip the same identity, and a corrected one another", function()
    assert.are.equal(publish().identity, publish().identity)
    assert.are_not.equal(publish().identity, publish({ distance_km = 12.5 }).identity)
  end)
end)
