local url = require("url")

describe("url.encode", function()
  it("leaves the bytes that mean nothing in a URL", function()
    assert.equal("azAZ09-._~", url.encode("azAZ09-._~"))
    assert.equal("", url.encode(""))
  end)

  it("encodes all others, so that no text ends its part", function()
    assert.equal("a%2Fb%3Fc%23d%20e%25f%26g%3Dh%2Bi", url.encode("a/b?c#d e%f&g=h+i"))
    assert.equal("%C3%A5%00%0D%0A%FF", url.encode("å\0\r\n\255"))
  end)

  it("encodes segments that would change the path", function()
    assert.equal("%2E", url.encode("."))
    assert.equal("%2E%2E", url.encode(".."))
    assert.equal("...", url.encode("..."))
  end)

  it("takes a string", function()
    assert.has_error(function() url.encode() end,
      "url.encode: the text must be a string, got nothing")
    assert.has_error(function() url.encode(1) end)
  end)
end)
