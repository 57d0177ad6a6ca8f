---@meta kafka

--- Records that routes produce, with a report of their delivery. Handlers and reactions produce none:
--- a handler calls `view:publish(message)`, a reaction returns its messages; they are sent if and only if
--- the event or row is committed.
---
--- All states share one producer, made at first use: `acks=all`, idempotent; properties of
--- `kafka.options` apply. A record is dropped when no script can still wait for it.
---@class kafka
local kafka = {}

--- One of the records of `kafka.produce_all`.
---@class kafka.Record
---@field topic string
---@field key? string any bytes; left out: no key
---@field value? string any bytes; left out: a tombstone
---@field headers? table<string, string> by name

--- The record of `kafka.produce`: it has its own time limit.
---@class kafka.TimedRecord: kafka.Record
---@field timeout_ms? integer at most, and by default, the call's remaining time

--- The options of `kafka.produce_all`.
---@class kafka.Options
---@field timeout_ms? integer for all records

--- Where a record is.
---@class kafka.Delivery
---@field partition integer
---@field offset integer|string digits past 2^53

--- The result of a record: a delivery, or its failure.
---@class kafka.Result
---@field partition? integer
---@field offset? integer|string
---@field error? Failure

--- Sends one record and waits until the broker has it. The failure is of kind `"timeout"` where the
--- record may be or become delivered, `"unavailable"` where it is not, `"input"` where the broker
--- refuses it (too large, not allowed).
---
--- ```lua
--- local delivery, failure = kafka.produce({
---   topic = "huleedu.batch.noted.v1", key = request.params.batch_id, value = json.encode(note),
---   headers = { correlation_id = request.correlation_id },
--- })
--- if not delivery then error(failure.message) end
--- ```
---@param record kafka.TimedRecord
---@return kafka.Delivery? delivery nil where it failed
---@return Failure failure nil where it succeeded
function kafka.produce(record) end

--- Sends several records and waits once.
---
--- ```lua
--- local _, failure = kafka.produce_all({ { topic = t, value = "a" }, { topic = t, value = "b" } })
--- ```
---@param records kafka.Record[] at most 10,000
---@param options? kafka.Options
---@return kafka.Delivery[]? deliveries in order, if all were delivered; else nil
---@return Failure failure nil where it succeeded; with `failure.results`, in which each is a delivery or `{ error = failure }`
function kafka.produce_all(records, options) end

return kafka
