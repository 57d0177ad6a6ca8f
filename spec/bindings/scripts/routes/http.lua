local cases = require("lib.cases")
local http = require("http")
local json = require("json")

--- The answer, or the failure, as JSON.
local function outcome(answer, failure)
  return json.encode(answer or failure)
end

local function get(url)
  return outcome(http.request({ url = url }))
end

return cases("http", {
  get = get,
  length = function(url)
    local answer, failure = http.request({ url = url })
    return answer and #answer.body or outcome(answer, failure)
  end,
  twice = function(url)
    return get(url) .. get(url)
  end,
  quick = function(url)
    return outcome(http.request({ url = url, timeout_ms = 100 }))
  end,
  post = function(url)
    return outcome(http.request({
      url = url, method = "POST", body = "a\0b", headers = { ["X-One"] = "1", ["X-None"] = "" },
    }))
  end,
  empty_post = function(url)
    return outcome(http.request({ url = url, method = "POST" }))
  end,
  head = function(url)
    return outcome(http.request({ url = url, method = "HEAD" }))
  end,
  delete = function(url)
    return outcome(http.request({ url = url, method = "DELETE", body = "x" }))
  end,
})
