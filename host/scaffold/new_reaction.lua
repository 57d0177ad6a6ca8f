--- Tells others of each key that commits touch in @table@.
local uuid = require("uuid")

local TOPIC = "@topic@"
-- drawn for this reaction: what it calls a fact, no other does
local FACTS = "@namespace@"

---@type reactions.@name@
return {
  follows = { @table@ = "@column@" },
  query = "@name@", -- sql/queries/@name@.sql
  publish = function(row)
    -- all that the fact says: the same again is not published, something else is
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
