--- Touches every outside system while it is loaded, and says in its error what came of it.
local said = {}
for _, call in ipairs({
  function() require("pg").query("session") end,
  function() require("pg").transaction(function() end) end,
  function() require("redis").call("PING") end,
  function() require("redis").pipeline({ { "PING" } }) end,
  function() require("kafka").produce({ topic = "t" }) end,
  function() require("kafka").produce_all({}) end,
  function() require("http").request({ url = "http://127.0.0.1:1/" }) end,
}) do
  local _, message = pcall(call)
  said[#said + 1] = tostring(message):match("(%S+: scripts are loading)") or "not refused"
end
error(table.concat(said, "; "), 0)
