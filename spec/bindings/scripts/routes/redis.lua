local cases = require("lib.cases")
local redis = require("redis")

return cases("redis", {
  ping = function()
    local reply, failure = redis.call("PING")
    return reply or failure.kind .. ": " .. failure.message
  end,
  pipeline = function()
    local replies, failure = redis.pipeline({ { "PING" }, { "PING" } })
    return replies and "replies" or failure.kind
  end,
})
