--- The double of the http binding: answers by URL, remembers requests.
-- @module doubles.http

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

--- Forgets answers, failures and requests; done before each `it`.
function M.reset()
  answers, failures, requests = {}, {}, {}
end

--- Requests to the URL get this answer until told otherwise. One that was told nothing gets 404.
-- @tparam string url
-- @tparam {status=number,headers=?table,body=?string} answer
function M.answers(url, answer)
  answers[url] =
    { status = answer.status, headers = answer.headers or {}, body = answer.body or "" }
  failures[url] = nil
end

--- Requests to the URL fail until told otherwise.
-- @tparam string url
-- @tparam ?{kind=string,message=string} err
function M.fails(url, err)
  failures[url] = err or { kind = "unavailable", message = "the double fails" }
end

--- @treturn {table,...} the requests so far
function M.requests()
  return requests
end

M.reset()

--- What scripts get for `require "http"`.
M.binding = {}

--- @tparam table request url, method, headers, body, timeout_ms
-- @treturn ?{status=number,headers=table,body=string} or nil and the failure
function M.binding.request(request)
  arguments.check_keys("request", request, KEYS)
  requests[#requests + 1] = request
  if failures[request.url] then
    return nil, failures[request.url]
  end
  return answers[request.url] or { status = 404, headers = {}, body = "" }
end

return M
