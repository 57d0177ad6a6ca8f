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

--- @tparam {table,...} messages
-- @treturn ?{{partition=number,offset=number},...} or nil and the failure
function M.binding.produce_all(messages)
  arguments.check("produce_all", 1, messages, "table")
  local places = {}
  for _, message in ipairs(messages) do
    arguments.check_keys("produce_all", message, KEYS)
  end
  if failure then
    return nil, failure
  end
  for i, message in ipairs(messages) do
    places[i] = accept(message)
  end
  return places
end

return M
