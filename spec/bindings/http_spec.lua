--- What needs a server is tested in spec/c/test_lua_http.c.
local http = require("http")

local URL = "http://127.0.0.1:1/"

local function error_of(call, ...)
  local ok, message = pcall(call, ...)
  assert.is_false(ok)
  return message
end

describe("http.request", function()
  it("reports an unreachable server", function()
    local answer, failure = http.request({ url = URL })
    assert.is_nil(answer)
    assert.equal("unavailable", failure.kind)
    assert.truthy(failure.message:find("127.0.0.1 port 1"))
  end)

  it("speaks http and https only", function()
    for _, url in ipairs({ "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/" }) do
      local answer, failure = http.request({ url = url })
      assert.is_nil(answer)
      assert.equal("input", failure.kind)
    end
  end)

  it("refuses wrong arguments by name", function()
    local function refusal(fields)
      return (error_of(http.request, fields):gsub("^http.request: ", ""))
    end
    assert.equal("the argument must be a table, got nil", refusal(nil))
    assert.equal('field "url" must be a string, got nil', refusal({}))
    assert.equal('there is no field "uri": did you mean "url"?', refusal({ uri = URL }))
    assert.equal('field "url" must be a string that is not empty and holds no NUL, got "a?b"',
      refusal({ url = "a\0b" }))
    assert.equal('field "method" must be GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS,'
      .. ' got "get"', refusal({ url = URL, method = "get" }))
    assert.equal("a GET has no body", refusal({ url = URL, body = "x" }))
    assert.equal('field "body" must be a string, got a table',
      refusal({ url = URL, method = "POST", body = {} }))
    assert.equal('field "headers" must be a table, got "x"', refusal({ url = URL, headers = "x" }))
    assert.equal('header "a" must be a string, got the number 1',
      refusal({ url = URL, headers = { a = 1 } }))
    assert.equal('header "a" must be text without line breaks and NUL, got "1??b: 2"',
      refusal({ url = URL, headers = { a = "1\r\nb: 2" } }))
    assert.equal("a header's name must be letters, digits and hyphens, got \"a b\"",
      refusal({ url = URL, headers = { ["a b"] = "1" } }))
    assert.equal('field "timeout_ms" must be a whole number from 1 to 3600000, got the number 0',
      refusal({ url = URL, timeout_ms = 0 }))
  end)
end)
