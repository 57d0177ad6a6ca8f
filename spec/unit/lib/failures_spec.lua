local failures = require("lib.failures")

describe("lib.failures", function()
  it("raises any other failure", function()
    local failure = { kind = "internal", message = "odd", sqlstate = "XX000" }
    assert.has_error(function()
      failures.response(failure, "bad")
    end, "internal XX000: odd")
  end)

  it("refuses a batch that is too large for one response", function()
    local response = failures.response({ kind = "input", message = "", sqlstate = "54000" }, "bad")
    assert.are.equal(422, response.status)
    assert.is_truthy(response.error:find("10,000 essays", 1, true))
  end)

  it("knows a failure without a state", function()
    assert.are.same({ status = 400, error = "bad" },
      failures.response({ kind = "input", message = "", sqlstate = "22P02" }, "bad"))
    assert.is_table(failures.response({ kind = "timeout", message = "" }, "bad").unavailable)
  end)
end)
