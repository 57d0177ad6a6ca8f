---@meta testing.handlers

--- Events run through the very extraction, handlers and merge of production.
---@class testing.handlers
local handlers = {}

--- A merge that a handler asked for.
---@class testing.Merge
---@field table string
---@field group string
---@field key table<string, any> values by column
---@field columns table<string, any> values by column, without those that are null
---@field at string time of the event
---@field event_id string

--- What became of an event.
---@class testing.Outcome
---@field result "applied"|"ignored"|"rejected"
---@field reason string of a rejected event: `"code: sentence"`, as the log and `rejected_events` have it
---@field merges testing.Merge[] in the order made
---@field published testing.Message[] what it publishes, in the order said
---@field tags table<string, true> set of `tag(id)`: whose cached answers the event ends
---@field rows testing.Rows

--- Rows by table.
---@class testing.Rows
---@field [string] table<string, any>[] rows, `{ KEY = …, GROUP = { COLUMN = …, at, event_id } }` each

--- What became of the events of one batch. Its outcomes have neither `tags` nor `rows`.
---@class testing.Replay
---@field outcomes testing.Outcome[]
---@field rows testing.Rows

--- Runs one event.
---@param name string `"handlers/x"`
---@param event table|string a table that `json.encode` turns into the record, or the record's text
---@return testing.Outcome outcome
function handlers.run(name, event) end

--- Merges events in one batch, in their order.
---@param events [string, table|string][] `{ { name, event }, … }`
---@return testing.Replay answer
function handlers.replay(events) end

--- The key of an id in a set of tags.
---@param id string
---@return string tag
function handlers.tag(id) end

return handlers
