--- The double of the metrics binding: keeps the values.

local arguments = require("testing.arguments")

local M = {}

local values

--- Clears the values; called before each `it`. Metrics that scripts hold stay valid.
function M.reset()
  values = {}
end

local function key_of(name, label_names, labels)
  local parts = { name }
  for i, label in ipairs(label_names) do
    local value = labels and labels[label]
    if value == nil then
      error(("%s: the label `%s` is missing"):format(name, label), 4)
    end
    parts[i + 1] = tostring(value)
  end
  for label in pairs(labels or {}) do
    local known = false
    for _, wanted in ipairs(label_names) do
      known = known or wanted == label
    end
    if not known then
      error(("%s: no label `%s`"):format(name, tostring(label)), 4)
    end
  end
  return table.concat(parts, "\0")
end

local declared = {}

--- A counter's or gauge's value, the sum of a histogram; nil where nothing was counted.
---@param name string of the metric
---@param labels? table<string, string|number|boolean>
---@return number? value
function M.value(name, labels)
  return values[key_of(name, declared[name] or {}, labels)]
end

local function sum(a, b)
  return a + b
end

local function last(_, b)
  return b
end

local OPERATIONS = {
  counter = { add = sum },
  gauge = { add = sum, set = last },
  histogram = { observe = sum },
}

local function maker(kind)
  return function(name, help, labels)
    arguments.check(kind, 1, name, "string")
    arguments.check(kind, 2, help, "string")
    arguments.check(kind, 3, labels, "table", "nil")
    declared[name] = labels or {}
    local metric = {}
    for operation, combine in pairs(OPERATIONS[kind]) do
      metric[operation] = function(_, number, given)
        arguments.check(operation, 1, number, "number")
        arguments.check(operation, 2, given, "table", "nil")
        local key = key_of(name, declared[name], given)
        values[key] = combine(values[key] or 0, number)
      end
    end
    return metric
  end
end

M.reset()

--- The module that scripts get for `require "metrics"`.
M.binding = {
  counter = maker("counter"),
  gauge = maker("gauge"),
  histogram = maker("histogram"),
}

return M
