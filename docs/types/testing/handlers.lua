---@meta testing.handlers

--- Runs events through the extraction, handlers and merge of production.
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

--- The outcome of an event.
---@class testing.Outcome
---@field result "applied"|"ignored"|"rejected"
---@field reason string of a rejected event: `"code: sentence"`, as the log and `rejected_events` have it
---@field merges testing.Merge[] in the order made
---@field published testing.Message[] its messages, in order
---@field tags table<string, true> set of `tag(id)`: surrogate keys that the event touches, whose cached responses it drops
---@field rows testing.Rows

--- Rows by table.
---@class testing.Rows
---@field [string] table<string, any>[] rows, `{ KEY = …, GROUP = { COLUMN = …, at, event_id } }` each; groups of the rules `first` and `latest` have `at` and `event_id`

--- The outcomes of the events of one batch, which have neither `tags` nor `rows`.
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
---@return testing.Replay replay
function handlers.replay(events) end

--- The key of an id in a set of tags.
---@param id string
---@return string tag
function handlers.tag(id) end

return handlers
