local uuid = require("uuid")

local DNS = "6ba7b810-9dad-11d1-80b4-00c04fd430c8" -- RFC 9562, section 6.6

describe("uuid.v5", function()
  it("gives the name of RFC 9562, appendix A.4, its UUID", function()
    assert.equal("2ed6657d-e927-568b-95e1-2665a8aea6a2", uuid.v5(DNS, "www.example.com"))
  end)

  it("takes every spelling of the namespace, and any bytes as a name", function()
    assert.equal(uuid.v5(DNS, "a\0b"), uuid.v5("{" .. DNS:upper() .. "}", "a\0b"))
    assert.are_not.equal(uuid.v5(DNS, "a\0b"), uuid.v5(DNS, "a"))
    assert.equal(36, #uuid.v5(DNS, ""))
  end)

  it("refuses a namespace that is none, and names that are no text", function()
    assert.has_error(function() uuid.v5("nobody", "a") end)
    assert.has_error(function() uuid.v5(DNS) end)
    assert.has_error(function() uuid.v5(DNS, 1) end)
  end)
end)
