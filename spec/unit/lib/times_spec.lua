local times = require("lib.times")

-- microseconds -> text, as Python's datetime has it
local KNOWN = {
  [0] = "1970-01-01T00:00:00.000000",
  [1] = "1970-01-01T00:00:00.000001",
  [-1] = "1969-12-31T23:59:59.999999",
  [951782400000000] = "2000-02-29T00:00:00.000000",
  [951868800000000] = "2000-03-01T00:00:00.000000",
  [1751097618023860] = "2025-06-28T08:00:18.023860",
  [4107542399999999] = "2100-02-28T23:59:59.999999",
  [4107542400000000] = "2100-03-01T00:00:00.000000",
  [1735689599123456] = "2024-12-31T23:59:59.123456",
}

describe("lib.times", function()
  for us, text in pairs(KNOWN) do
    it("writes " .. text, function()
      assert.are.equal(text, times.naive(us))
    end)
  end
end)
