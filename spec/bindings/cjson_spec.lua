local cjson = require("cjson")
local json = require("json")
local safe = require("cjson.safe")

local function error_of(call, ...)
  local ok, message = pcall(call, ...)
  assert.is_false(ok)
  return message
end

describe("cjson", function()
  it("writes and reads as json does", function()
    local value = { a = { 1, 0.1 + 0.2, true, cjson.null }, b = json.array({}) }
    assert.equal('{"a":[1,0.30000000000000004,true,null],"b":[]}', cjson.encode(value))
    assert.same(value, cjson.decode(cjson.encode(value)))
    assert.equal(json.null, cjson.null)
  end)

  it("raises where a text is not JSON or a value has no form", function()
    assert.matches("cjson.decode: not JSON: .*, at byte 2$", error_of(cjson.decode, "[}"))
    assert.equal("json.encode: a function has no form in JSON", error_of(cjson.encode, error))
  end)

  it("returns nil and the error's text from cjson.safe", function()
    local value, problem = safe.decode("[}")
    assert.is_nil(value)
    assert.matches("not JSON: .*, at byte 2$", problem)
    value, problem = safe.encode({ error })
    assert.is_nil(value)
    assert.equal("json.encode: a function has no form in JSON", problem)
    assert.equal("[1]", safe.encode(safe.decode(" [1] ")))
  end)

  it("tells false and null from a failure in cjson.safe", function()
    assert.is_false(safe.decode("false"))
    assert.equal(cjson.null, safe.decode("null"))
  end)

  it("gives a module of its own", function()
    assert.equal("[1]", cjson.new().encode({ 1 }))
    assert.is_nil((safe.new().decode("[")))
  end)
end)

describe("a setting of cjson", function()
  it("reports the present value", function()
    assert.same({ 64, 64, 17 }, { cjson.encode_max_depth(), cjson.decode_max_depth(),
      cjson.encode_number_precision() })
    assert.is_false(cjson.encode_invalid_numbers())
    assert.is_false(cjson.decode_invalid_numbers())
    assert.same({ false, 1, 0 }, { cjson.encode_sparse_array() })
  end)

  it("accepts the present value", function()
    cjson.encode_max_depth(64)
    cjson.encode_number_precision(14)
    cjson.encode_invalid_numbers(false)
    cjson.decode_invalid_numbers("off")
    cjson.encode_keep_buffer(true)
    cjson.encode_sparse_array(false, 1, 0)
  end)

  it("raises for another, and says what to do", function()
    local advice = {
      encode_max_depth = { 1000, "flatten what is nested deeper" },
      decode_max_depth = { 1000, "deeper texts are refused" },
      encode_number_precision = { 3, "round it before" },
      encode_invalid_numbers = { true, "put cjson.null in their place" },
      decode_invalid_numbers = { true, "ask the sender for null or a string" },
      encode_sparse_array = { true, "fill it with cjson.null" },
    }
    for name, case in pairs(advice) do
      local message = error_of(cjson[name], case[1])
      assert.truthy(message:find(("cjson.%s cannot be set: "):format(name), 1, true), message)
      assert.truthy(message:find(case[2], 1, true), message)
    end
  end)

  it("raises for a list with a gap and for a number beyond a double", function()
    assert.truthy(error_of(cjson.encode, { 1, 2, [4] = 4 }))
    assert.truthy(error_of(cjson.decode, "1e400"))
  end)
end)
