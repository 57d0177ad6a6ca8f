---@meta testing.routes

--- Requests answered by the very routes of production, over the bindings that the state has.
---@class testing.routes
local routes = {}

--- A request; what is left out is empty.
---@class testing.Request
---@field params? table<string, string>
---@field query? table<string, string>
---@field correlation_id? string
---@field traceparent? string

--- An answer; what it does not have is nil.
---@class testing.Answer
---@field status integer as the client gets it; 500 where the route raised
---@field body string
---@field error string the message of an error answer
---@field failure string why a route failed, as the log has it
---@field retry_after integer seconds, where the answer asks for it
---@field tags table<string, true> set of `tag(id)`: what a commit may touch to end the cached answer

--- Answers a request.
---@param name string `"routes/x"`
---@param request testing.Request
---@return testing.Answer answer
function routes.call(name, request) end

--- The key of an id in a set of tags.
---@param id string
---@return string tag
function routes.tag(id) end

return routes
