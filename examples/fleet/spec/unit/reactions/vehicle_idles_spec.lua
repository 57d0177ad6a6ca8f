local reactions = require("testing.reactions")

local function publish(idle_since)
  return assert(reactions.run("reactions/vehicle_idles", {
    key = "truck-01",
    idle_since = idle_since or "2026-03-02T08:04:00.000000Z",
    at = "2026-03-02T08:14:00.000000Z",
    at_us = 1772439240000000,
  }))[1]
end

describe("reactions.vehicle_idles", function()
  it("publishes since when the vehicle idles", function()
    local message = publish()
    assert.are.equal("fleet.vehicle.idles.v1", message.topic)
    assert.are.equal("truck-01", message.key)
    assert.are.equal(1772439240000000, message.at)
    assert.are.same({ vehicle_id = "truck-01", idle_since = "2026-03-02T08:04:00.000000Z" },
      message.value.data)
  end)

  it("publishes once for each time that the vehicle idles", function()
    assert.are.equal(publish().identity, publish().identity)
    assert.are_not.equal(publish().identity, publish("2026-03-02T09:00:00.000000Z").identity)
  end)
end)
