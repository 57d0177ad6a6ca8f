-- What specs read: texts of JSON as the json module reads them.
local fixtures = require("testing.fixtures")
local json = require("json")

describe("testing.fixtures.decode", function()
  it("gives null, lists and digits as json.decode does", function()
    local text = '{"none":null,"empty":[],"large":12345678901234567890}'
    local value = fixtures.decode(text)
    assert.are.equal(json.null, value.none)
    assert.are.equal("12345678901234567890", value.large)
    assert.are.equal('{"empty":[],"large":"12345678901234567890","none":null}', json.encode(value))
  end)

  it("raises where the text is not JSON", function()
    assert.has_error(function()
      fixtures.decode("[NaN]")
    end, "not JSON: a value cannot begin like this, at byte 2")
  end)
end)
