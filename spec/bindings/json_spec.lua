local json = require("json")

local function error_of(call, ...)
  local ok, message = pcall(call, ...)
  assert.is_false(ok)
  return message
end

describe("json.encode", function()
  it("writes every kind of value", function()
    assert.equal('{"a":[1,true,null,"x"],"b":{}}',
      json.encode({ b = {}, a = { 1, true, json.null, "x" } }))
    assert.equal("null", json.encode(nil))
  end)

  it("writes equal tables as equal texts: keys are sorted by their bytes", function()
    assert.equal('{"":0,"a":1,"a\\u0000":2,"a\\u0000b":3,"b":4}',
      json.encode({ b = 4, ["a\0b"] = 3, a = 1, ["a\0"] = 2, [""] = 0 }))
  end)

  it("writes numbers that read back as the same, whole ones without exponent", function()
    for number, text in pairs({
      [2.998155] = "2.998155", [0.1 + 0.2] = "0.30000000000000004", [-0.5] = "-0.5",
      [1764938400123456] = "1764938400123456", [9007199254740992] = "9007199254740992",
      [1e300] = "1e+300",
    }) do
      assert.equal(text, json.encode(number))
    end
  end)

  it("writes an empty list as [] where it is marked", function()
    assert.equal("[]", json.encode(json.array({})))
    assert.equal("{}", json.encode({}))
  end)

  it("escapes what must be, and replaces bytes that are not UTF-8", function()
    assert.equal('"\\"\\\\/\\n\\u0000é\239\191\189"', json.encode("\"\\/\n\0é\255"))
  end)

  it("refuses a value without a form in JSON", function()
    assert.equal("json.encode: a function has no form in JSON", error_of(json.encode, error))
    assert.equal("json.encode: NaN and infinity have no form in JSON",
      error_of(json.encode, { 0 / 0 }))
    assert.equal("json.encode: the argument must be a value, got nothing", error_of(json.encode))
    assert.equal("json.encode: a table with items must be a list: keys from 1 on without a gap",
      error_of(json.encode, { 1, a = 2 }))
    assert.equal("json.encode: the key of an object must be a string, got the number 5",
      error_of(json.encode, { [5] = 1 }))
  end)

  it("refuses circles and texts without bound", function()
    local circle = {}
    circle.x = circle
    assert.equal("json.encode: tables are nested deeper than 64, or in a circle",
      error_of(json.encode, circle))
    local wide = { ("x"):rep(1000) }
    for _ = 1, 20 do
      wide = { wide, wide }
    end
    assert.equal("json.encode: the text is over 16 MiB", error_of(json.encode, wide))
  end)
end)

describe("json.decode", function()
  local function failure_of(text)
    local value, failure = json.decode(text)
    assert.is_nil(value)
    assert.equal("input", failure.kind)
    return failure.message
  end

  it("reads every kind of value", function()
    assert.same({ a = { 1, -2.5, true, json.null, "x" }, b = {} },
      (json.decode(' {"a": [1, -2.5, true, null, "x"], "b": {}} ')))
    assert.is_false((json.decode("false")))
    assert.equal(json.null, (json.decode("null")))
  end)

  it("keeps integers exact: past 2^53 as strings of digits", function()
    assert.same({ 9007199254740991, "9007199254740993", "123456789012345678901234567890" },
      (json.decode("[9007199254740991, 9007199254740993, 123456789012345678901234567890]")))
  end)

  it("reads back what it wrote, empty lists too", function()
    local text = '{"a":[],"b":{},"c":[[],{"d":0.30000000000000004}],"e":"\\u0000é"}'
    assert.equal(text, json.encode((json.decode(text))))
  end)

  it("reads escapes", function()
    assert.equal("\"\\/\b\f\n\r\té\240\159\152\128\0",
      (json.decode([["\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\u0000"]])))
  end)

  it("takes the last of equal keys", function()
    assert.same({ a = 2 }, (json.decode('{"a":1,"\\u0061":2}')))
  end)

  it("names the problem and its byte", function()
    assert.equal("not JSON: a value cannot begin like this, at byte 2", failure_of("[NaN]"))
    assert.equal("not JSON: something follows the value, at byte 3", failure_of("1 2"))
    assert.equal("not JSON: the text ends where a value should be, at byte 1", failure_of(""))
    assert.truthy(failure_of("[1e999]"):find("out of range"))
    assert.truthy(failure_of('{"a":1,}'):find("a key must be a string"))
    assert.truthy(failure_of('"\255"'):find("not UTF", 1, true))
    assert.truthy(failure_of('"\\ud800"'):find("lone surrogate"))
    assert.truthy(failure_of("[01]"):find("comma"))
    assert.truthy(failure_of(("["):rep(65) .. ("]"):rep(65)):find("nested too deep"))
    assert.truthy(failure_of('{"a":{"b":[1,{"c":'):find("ends"))
  end)

  it("refuses a value that is no string", function()
    assert.equal("json.decode: the argument must be a string, got nothing", error_of(json.decode))
    assert.equal("json.decode: the argument must be a string, got the number 5",
      error_of(json.decode, 5))
  end)
end)

describe("json.array", function()
  it("refuses a value that is no table", function()
    assert.equal("json.array: the argument must be a table, got nil", error_of(json.array, nil))
  end)
end)
