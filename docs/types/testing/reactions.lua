---@meta testing.reactions

--- Calls the reactions of production for rows, and checks their results as in production.
---@class testing.reactions
local reactions = {}

--- A message as it would be stored in the outbox.
---@class testing.Message
---@field topic string
---@field key string
---@field value any decoded from `text`
---@field text string the bytes that would be published
---@field identity string
---@field at integer microseconds since 1970
---@field headers table<string, string>

--- Calls a reaction for one row of its query. What is null in the row is left out of the table.
---@param name string `"reactions/x"`
---@param row table<string, any> by column
---@return testing.Message[]|nil messages empty where it publishes nothing; nil where it failed
---@return string failure why, as the log has it
function reactions.run(name, row) end

return reactions
