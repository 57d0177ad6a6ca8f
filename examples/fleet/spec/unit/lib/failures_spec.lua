local failures = require("lib.failures")

describe("lib.failures", function()
  for _, kind in ipairs({ "unavailable", "timeout" }) do
    it("passes on a failure of the kind " .. kind, function()
      local failure = { kind = kind, message = "down" }
      assert.are.same({ unavailable = failure }, failures.response(failure, "Invalid"))
    end)
  end

  it("makes a 400 of a value that the database refused", function()
    local failure = { kind = "input", message = "bad", sqlstate = "22P02" }
    assert.are.same({ status = 400, error = "Invalid" }, failures.response(failure, "Invalid"))
  end)

  it("raises a bug", function()
    local failure = { kind = "input", message = "no such table", sqlstate = "42P01" }
    assert.has_error(function()
      failures.response(failure, "Invalid")
    end, "input: no such table")
  end)
end)
