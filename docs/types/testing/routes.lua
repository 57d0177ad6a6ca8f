---@meta testing.routes

--- Sends requests to the routes of production, with the bindings of the state.
---@class testing.routes
local routes = {}

--- A request; omitted fields are empty.
---@class testing.Request
---@field params? table<string, string>
---@field query? table<string, string>
---@field headers? table<string, string> in any spelling
---@field body? string|table bytes, or a table that is sent as JSON
---@field correlation_id? string
---@field traceparent? string

--- A response; missing fields are nil.
---@class testing.Response
---@field status integer as the client gets it; 500 where the route raised
---@field body string
---@field parts string[] what a streamed response wrote, in order; `body` is all of it
---@field headers table<string, string> those that the route set, as it spelled them
---@field error string the message of an error
---@field failure string why a route failed, as the log has it
---@field retry_after integer seconds, if the response has the header
---@field cache_key string the text under which a cached route's response is kept: of two requests that share it, one gets the other's response
---@field tags table<string, true> set of `tag(id)`: the surrogate keys of the cached response

--- Calls a route.
---@param name string `"routes/x"`
---@param request testing.Request
---@return testing.Response response
function routes.call(name, request) end

--- The key of an id in a set of tags.
---@param id string
---@return string tag
function routes.tag(id) end

return routes
