--- Publishes each key of @table@ that a commit touches.
local uuid = require("uuid")

local TOPIC = "@topic@"
-- a random UUID, this reaction's own namespace
local FACTS = "@namespace@"

---@type reactions.@name@
return {
  follows = { @table@ = "@column@" },
  query = "@name@", -- sql/queries/@name@.sql
  publish = function(row)
    -- identifies the fact: a repeated one is not published, a changed one is
    local identity = uuid.v5(FACTS, ("%s %d"):format(row.key, row.count))
    return {
      topic = TOPIC,
      key = row.key,
      value = { id = identity, key = row.key, count = row.count },
      identity = identity,
      at = row.at_us, -- when it became true
    }
  end,
}
