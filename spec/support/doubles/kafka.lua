--- The double of the kafka binding: keeps the produced records.

local arguments = require("testing.arguments")

local M = {}

local failure, produced

local KEYS = {
  topic = "string",
  key = "?string",
  value = "?string",
  headers = "?table",
  timeout_ms = "?number",
}

--- Clears failures and records; runs before each `it`.
function M.reset()
  failure, produced = nil, {}
end

--- Makes every further call fail.
---@param err? { kind: string, message?: string } default: unavailable
function M.fails(err)
  failure = err or { kind = "unavailable", message = "the double fails" }
end

--- The records produced so far, in order.
---@return kafka.Record[] records
function M.produced()
  return produced
end

local function accept(record)
  produced[#produced + 1] = record
  return { partition = 0, offset = #produced - 1 }
end

M.reset()

--- The module that scripts get for `require "kafka"`.
M.binding = {}

function M.binding.produce(record)
  arguments.check_keys("produce", record, KEYS)
  if failure then
    return nil, failure
  end
  return accept(record)
end

local KEYS_OF_ALL = { topic = "string", key = "?string", value = "?string", headers = "?table" }

function M.binding.produce_all(records, options)
  arguments.check("produce_all", 1, records, "table")
  arguments.check_keys("produce_all", options or {}, { timeout_ms = "?number" })
  for _, record in ipairs(records) do
    arguments.check_keys("produce_all", record, KEYS_OF_ALL)
  end
  local places = {}
  for i, record in ipairs(records) do
    places[i] = failure and { error = failure } or accept(record)
  end
  if failure then
    return nil, { kind = failure.kind, message = failure.message, results = places }
  end
  return places
end

return M
