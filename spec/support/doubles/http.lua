--- The double of the http binding: responds by URL, keeps the requests.

local arguments = require("testing.arguments")

local M = {}

local answers, failures, requests

local KEYS = {
  url = "string",
  method = "?string",
  headers = "?table",
  body = "?string",
  timeout_ms = "?number",
}

--- Clears responses, failures and requests; called before each `it`.
function M.reset()
  answers, failures, requests = {}, {}, {}
end

--- Sets the response of a URL. A URL without one gets 404.
---@param url string
---@param answer { status: integer, headers?: table, body?: string }
function M.answers(url, answer)
  answers[url] =
    { status = answer.status, headers = answer.headers or {}, body = answer.body or "" }
  failures[url] = nil
end

--- Makes requests to the URL fail.
---@param url string
---@param err? { kind: string, message?: string } default: unavailable
function M.fails(url, err)
  failures[url] = err or { kind = "unavailable", message = "the double fails" }
end

--- The requests so far.
---@return http.Request[] requests
function M.requests()
  return requests
end

M.reset()

--- The module that scripts get for `require "http"`.
M.binding = {}

function M.binding.request(request)
  arguments.check_keys("request", request, KEYS)
  requests[#requests + 1] = request
  if failures[request.url] then
    return nil, failures[request.url]
  end
  return answers[request.url] or { status = 404, headers = {}, body = "" }
end

return M
