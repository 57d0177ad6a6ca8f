--- The double of the kafka binding: remembers what was produced.
-- @module doubles.kafka

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

--- Forgets failures and messages; done before each `it`.
function M.reset()
  failure, produced = nil, {}
end

--- Nothing can be produced from now on.
-- @tparam ?{kind=string,message=string} err
function M.fails(err)
  failure = err or { kind = "unavailable", message = "the double fails" }
end

--- @treturn {{topic=string,key=?string,value=?string,headers=?table},...} so far, in order
function M.produced()
  return produced
end

local function accept(message)
  produced[#produced + 1] = message
  return { partition = 0, offset = #produced - 1 }
end

M.reset()

--- What scripts get for `require "kafka"`.
M.binding = {}

--- @tparam table message topic, key, value, headers, timeout_ms
-- @treturn ?{partition=number,offset=number} or nil and the failure
function M.binding.produce(message)
  arguments.check_keys("produce", message, KEYS)
  if failure then
    return nil, failure
  end
  return accept(message)
end

local KEYS_OF_ALL = { topic = "string", key = "?string", value = "?string", headers = "?table" }

--- @tparam {table,...} messages topic, key, value, headers
-- @tparam ?{timeout_ms=number} options
-- @treturn ?{{partition=number,offset=number},...} or nil and the failure, with `results`
function M.binding.produce_all(messages, options)
  arguments.check("produce_all", 1, messages, "table")
  arguments.check_keys("produce_all", options or {}, { timeout_ms = "?number" })
  for _, message in ipairs(messages) do
    arguments.check_keys("produce_all", message, KEYS_OF_ALL)
  end
  local places = {}
  for i, message in ipairs(messages) do
    places[i] = failure and { error = failure } or accept(message)
  end
  if failure then
    return nil, { kind = failure.kind, message = failure.message, results = places }
  end
  return places
end

return M
