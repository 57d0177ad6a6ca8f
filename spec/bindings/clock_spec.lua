local clock = require("clock")

describe("clock", function()
  it("counts seconds that never go back", function()
    local first = clock.monotonic()
    assert.is_true(clock.monotonic() >= first)
  end)

  it("tells Unix time", function()
    assert.is_true(clock.wall() > 1700000000)
  end)

  it("writes a time as RFC 3339 has it", function()
    assert.equal("2026-01-31T08:00:00.000000Z", clock.rfc3339(1769846400000000))
    assert.equal("1969-12-31T23:59:59.999999Z", clock.rfc3339(-1))
    assert.equal("0001-01-01T00:00:00.000000Z", clock.rfc3339(-62135596800000000))
    -- as queries return integers of 2^53 and more
    assert.equal("9999-12-31T23:59:59.999999Z", clock.rfc3339("253402300799999999"))
    assert.equal("0001-01-01T00:00:00.000000Z", clock.rfc3339("-62135596800000000"))
  end)

  it("takes a time of the years 1 to 9999 in whole microseconds", function()
    local first, last = "-62135596800000001", "253402300800000000"
    for _, wrong in ipairs({ 1.5, tonumber(last), tonumber(first) * 2, 0 / 0, "1", first, last }) do
      assert.has_error(function() clock.rfc3339(wrong) end)
    end
    assert.has_error(function() clock.rfc3339() end, "clock.rfc3339: the time must be whole "
      .. "microseconds since 1970, of the years 1 to 9999, got nothing")
  end)
end)
