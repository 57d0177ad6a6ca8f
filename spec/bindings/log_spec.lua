--- What the lines say is tested in spec/c/test_lua_bindings.c.
local log = require("log")

local function error_of(call, ...)
  local ok, message = pcall(call, ...)
  assert.is_false(ok)
  return message
end

describe("log", function()
  it("refuses wrong arguments by name", function()
    assert.equal("log.info: the message must be a string, got nothing", error_of(log.info))
    assert.equal('log.info: the fields must be a table, got "x"', error_of(log.info, "m", "x"))
    assert.equal('log.error: field "a" must be a string, a number or a boolean, got a table',
      error_of(log.error, "m", { a = {} }))
    assert.equal("log.info: a field's name must be a string, got the number 1",
      error_of(log.info, "m", { "x" }))
    assert.equal("log.debug: a field's name must be letters, digits, _, . and -, got \"a b\"",
      error_of(log.debug, "m", { ["a b"] = 1 }))
    assert.equal('log.warning: field "level" is the line\'s own',
      error_of(log.warning, "m", { level = "x" }))
    local many = {}
    for i = 1, 17 do
      many["f" .. i] = i
    end
    assert.equal("log.info: more than 16 fields", error_of(log.info, "m", many))
  end)
end)
