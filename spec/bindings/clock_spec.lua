local clock = require("clock")

describe("clock", function()
  it("counts seconds that never go back", function()
    local first = clock.monotonic()
    assert.is_true(clock.monotonic() >= first)
  end)

  it("tells Unix time", function()
    assert.is_true(clock.wall() > 1700000000)
  end)
end)
