--- Builds the events that this service publishes: CloudEvents, as those that it reads.

local json = require("json")
local uuid = require("uuid")

local M = {}

-- a random UUID, the namespace of the ids of facts
local FACTS = "7c7a1d0e-58a5-4f0c-8a51-6d1f0c9e2b34"
-- The outbox takes no earlier time of a fact. One of a clock that was wrong is settled with it.
local FIRST_AT = 946684800000000 -- 2000-01-01

--- What an event says.
---@class lib.cloud_events.Event
---@field id string a UUID
---@field type string the topic, too
---@field subject string the id of what the event is about: the key of the record
---@field time string RFC 3339
---@field correlation_id? string
---@field data table<string, any>

--- Writes an event. The same event gives the same bytes: keys are sorted.
---@param event lib.cloud_events.Event
---@return string text
function M.encode(event)
  return json.encode({
    specversion = "1.0",
    id = event.id,
    type = event.type,
    source = "/fleet",
    subject = event.subject,
    time = event.time,
    correlationid = event.correlation_id,
    datacontenttype = "application/json",
    data = event.data,
  })
end

--- A fact that a reaction publishes.
---@class lib.cloud_events.Fact
---@field topic string
---@field key string
---@field time string when it came true, RFC 3339
---@field at_us integer|string the same moment, microseconds since 1970, or digits of them
---@field data table<string, any> the whole fact: a change of it is another event

--- Makes the message of a fact. Its id is made of all that the message says: the same fact is
--- published once, and a corrected one again.
---@param fact lib.cloud_events.Fact
---@return Message message
function M.message(fact)
  local name = ("%s %s %s %s"):format(fact.topic, fact.key, fact.time, json.encode(fact.data))
  local id = uuid.v5(FACTS, name)
  return {
    topic = fact.topic,
    key = fact.key,
    value = M.encode({
      id = id,
      type = fact.topic,
      subject = fact.key,
      time = fact.time,
      data = fact.data,
    }),
    identity = id,
    at = math.max(assert(tonumber(fact.at_us)), FIRST_AT),
  }
end

return M
