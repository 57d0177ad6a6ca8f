---@meta http

--- Requests to other services. Rows that a handler derives from a response cannot be verified or
--- rebuilt.
---
--- One exchange over HTTP/1.1 or 2. Connections are kept for the next request.
---
--- Names of response headers are lower case. A repeated header is joined with `", "`;
--- `set-cookie` is always a list. Redirects are not followed. A body over 8 MiB or headers over
--- 64 KiB are a failure of kind `"input"`. Certificates are checked. The environment's proxy
--- variables are honoured.
---@class http
local http = {}

--- A request. No `Content-Type` is added.
---@class http.Request
---@field url string `http` or `https`
---@field method? "GET"|"HEAD"|"POST"|"PUT"|"PATCH"|"DELETE"|"OPTIONS" default `"GET"`
---@field headers? table<string, string> by name
---@field body? string any bytes; not for GET and HEAD
---@field timeout_ms? integer for the whole exchange; at most, and by default, the call's remaining time

--- A response of any status.
---@class http.Response
---@field status integer
---@field headers table<string, string|string[]> by lower-case name
---@field body string

--- Sends a request and waits for the whole response.
---
--- ```lua
--- local response, failure = http.request({
---   url = base .. "/internal/v1/prompts/" .. id, timeout_ms = 300,
---   headers = { ["X-Correlation-ID"] = request.correlation_id },
--- })
--- if not response or response.status ~= 200 then … end
--- ```
---@param request http.Request
---@return http.Response? response of any status; nil where it failed
---@return Failure failure nil where it succeeded
function http.request(request) end

return http
