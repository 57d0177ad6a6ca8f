--- The double of the metrics binding: keeps the values.
-- @module doubles.metrics

local arguments = require("testing.arguments")

local M = {}

local values

--- Forgets the values; done before each `it`. Metrics that scripts hold stay good.
function M.reset()
  values = {}
end

--- @tparam string name of the metric
-- @tparam string,... labels' values
-- @treturn ?number a counter's or gauge's value, the sum of a histogram
function M.value(name, ...)
  return values[table.concat({ name, ... }, "\0")]
end

local function metric(name, labels, operation, combine)
  local label_count = select(2, (labels or ""):gsub("[^,]+", ""))
  local object = {}
  object[operation] = function(_, value, ...)
    arguments.check(operation, 1, value, "number")
    if select("#", ...) ~= label_count then
      error(("%s has %d labels"):format(name, label_count), 2)
    end
    local key = table.concat({ name, ... }, "\0")
    values[key] = combine(values[key] or 0, value)
  end
  return object
end

local function sum(a, b)
  return a + b
end

local function last(_, b)
  return b
end

local function maker(kind, operation, combine)
  return function(name, help, labels)
    arguments.check(kind, 1, name, "string")
    arguments.check(kind, 2, help, "string")
    arguments.check(kind, 3, labels, "string", "nil")
    return metric(name, labels, operation, combine)
  end
end

M.reset()

--- What scripts get for `require "metrics"`: each makes an object with one method, which takes the
-- value and then a value for each label.
M.binding = {
  counter = maker("counter", "add", sum),
  gauge = maker("gauge", "set", last),
  histogram = maker("histogram", "observe", sum),
}

return M
