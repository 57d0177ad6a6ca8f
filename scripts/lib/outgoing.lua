--- Builds the messages that this service publishes. The same fact always gives the same bytes and
--- the same id: the id is a hash of the bytes, and each time is the time of the fact.

local json = require("json")
local times = require("lib.times")
local uuid = require("uuid")

local M = {}

--- Topic of notifications to a teacher's browser.
local NOTIFICATION = "huleedu.notification.teacher.requested.v1"
-- The outbox takes no earlier `at`, as one in seconds would be. A fact of a clock that was wrong is
-- settled with it, like every fact that is older than the horizon.
local FIRST_AT = 946684800000000 -- 2000-01-01
local FACTS = "5b0c6d5c-8f0e-4c43-9d5e-0a3f6f1d7c21" -- the namespace of the ids

--- The fact that a message publishes.
---@class lib.outgoing.Fact
---@field batch_id string
---@field user_id string
---@field run? string the correlation id
---@field at integer|string microseconds since 1970; digits from the year 2255 on

-- Wraps data in the platform's envelope. Consumers deduplicate by the id in envelope and header.
local function message(fact, topic, key, data, metadata)
  local text = json.encode({
    event_type = topic,
    event_timestamp = times.wire(fact.at),
    source_service = "result_aggregator_service",
    schema_version = 1,
    -- Never null on the platform. The first release may lack one: it is derived from the batch.
    correlation_id = fact.run or uuid.v5(FACTS, fact.batch_id),
    data_schema_uri = json.null,
    data = data,
    metadata = metadata,
  })
  local event_id = uuid.v5(FACTS, text)
  return {
    topic = topic,
    key = key,
    value = ('{"event_id":"%s",'):format(event_id) .. text:sub(2),
    identity = event_id,
    at = math.max(assert(tonumber(fact.at)), FIRST_AT),
    headers = { event_id = event_id, event_type = topic },
  }
end

--- Builds an event of a batch for other services.
---@param fact lib.outgoing.Fact
---@param topic string
---@param event string `event_name` without its prefix `batch.`, such as "results.ready"
---@param own table<string, any> the keys of `data` that only this event has, with `status`
---@return Message message
function M.event(fact, topic, event, own)
  local time = times.wire(fact.at)
  local data = {
    event_name = "batch." .. event,
    entity_id = json.null,
    entity_type = json.null,
    parent_id = json.null,
    timestamp = time,
    system_metadata = {
      entity_id = fact.batch_id,
      entity_type = "batch",
      parent_id = json.null,
      timestamp = time,
      processing_stage = json.null,
      started_at = json.null,
      completed_at = json.null,
      event = event:gsub("%.", "_"),
      error_info = {},
    },
    batch_id = fact.batch_id,
    user_id = fact.user_id,
  }
  for name, value in pairs(own) do
    data[name] = value
  end
  return message(fact, topic, fact.batch_id, data, {})
end

--- Builds a notification to the teacher.
---@param fact lib.outgoing.Fact
---@param kind "batch_results_ready"|"batch_assessment_completed"
---@param priority "high"|"standard"
---@param payload table<string, any>
---@return Message message
function M.notification(fact, kind, priority, payload)
  payload.batch_id = fact.batch_id
  return message(fact, NOTIFICATION, fact.user_id, {
    teacher_id = fact.user_id,
    notification_type = kind,
    category = "processing_results",
    priority = priority,
    payload = payload,
    action_required = false,
    deadline_timestamp = json.null,
    correlation_id = fact.run or uuid.v5(FACTS, fact.batch_id),
    batch_id = fact.batch_id,
    class_id = json.null,
    timestamp = times.wire(fact.at),
  }, json.null)
end

return M
