--- What /metrics then says is tested in spec/c/test_lua_bindings.c.
local metrics = require("metrics")

local function error_of(call, ...)
  local ok, message = pcall(call, ...)
  assert.is_false(ok)
  return message
end

describe("metrics", function()
  it("are declared once or often, always the same way", function()
    metrics.counter("spec_things", "Things.", { "kind" })
    metrics.counter("spec_things", "Things.", { "kind" }):add(1, { kind = "a" })
    assert.equal('metrics.gauge: metric spec_things is already declared as a counter with labels'
      .. ' "kind" and the help "Things.": declare the same here, or choose another name',
      error_of(metrics.gauge, "spec_things", "Things.", { "kind" }))
    assert.equal('metrics.counter: metric spec_things is already declared as a counter with labels'
      .. ' "kind" and the help "Things.": declare the same here, or choose another name',
      error_of(metrics.counter, "spec_things", "Things."))
  end)

  it("refuse bad declarations by name", function()
    assert.equal("metrics.counter: the name must be like [a-z_:][a-z0-9_:]*, at most 100 bytes,"
      .. ' got "Spec"', error_of(metrics.counter, "Spec", "x"))
    assert.equal("metrics.counter: the name must be a string, got nil",
      error_of(metrics.counter, nil, "x"))
    assert.equal("metrics.gauge: the help must be one line of text without backslashes,"
      .. ' got "a?b"', error_of(metrics.gauge, "spec_x", "a\nb"))
    assert.equal("metrics.gauge: the help must be a string, got nil",
      error_of(metrics.gauge, "spec_x"))
    assert.equal('metrics.histogram: the label names must be a list, got "x"',
      error_of(metrics.histogram, "spec_x", "x", "x"))
    assert.equal("metrics.histogram: a label's name must be like [a-z_][a-z0-9_]*, not le, not"
      .. ' beginning with __, got "le"', error_of(metrics.histogram, "spec_x", "x", { "le" }))
    assert.equal('metrics.counter: label "a" stands twice',
      error_of(metrics.counter, "spec_x", "x", { "a", "a" }))
    assert.equal("metrics.counter: at most 4 labels",
      error_of(metrics.counter, "spec_x", "x", { "a", "b", "c", "d", "e" }))
  end)

  it("refuse bad values and labels by name", function()
    local counter = metrics.counter("spec_counter", "x", { "kind" })
    local gauge = metrics.gauge("spec_gauge", "x")
    assert.equal("spec_counter:add: the number must be a finite number of at least 0,"
      .. " got the number -1", error_of(counter.add, counter, -1, { kind = "a" }))
    assert.equal('spec_counter:add: label "kind" must be a string, a number or a boolean, got nil',
      error_of(counter.add, counter, 1))
    assert.equal('spec_counter:add: there is no field "kin": did you mean "kind"?',
      error_of(counter.add, counter, 1, { kin = "a" }))
    assert.equal("spec_gauge:set: it has no labels", error_of(gauge.set, gauge, 1, { a = "b" }))
    assert.equal("spec_gauge:set: the number must be a finite number, got the number Infinity",
      error_of(gauge.set, gauge, math.huge))
    assert.equal("spec_gauge:observe: it is a gauge", error_of(gauge.observe, gauge, 1))
    assert.equal("spec_counter:set: it is a counter", error_of(counter.set, counter, 1))
    assert.equal("add: call it as metric:add(number, labels)", error_of(gauge.add, 1))
  end)
end)
