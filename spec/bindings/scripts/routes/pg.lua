local cases = require("lib.cases")
local pg = require("pg")

local function outcome(rows, failure)
  return rows and "rows" or failure.kind .. ": " .. failure.message
end

return cases("pg", {
  pid = function()
    return assert(pg.query("session"))[1].pid
  end,
  statement_ms = function()
    return assert(pg.query("limits"))[1].statement_ms
  end,
  query = function()
    return outcome(pg.query("session"))
  end,
  sleep = function(seconds)
    return outcome(pg.query("sleep", { seconds = tonumber(seconds) }))
  end,
  query_for_ever = function()
    while true do
      pg.query("sleep", { seconds = 0.01 })
    end
  end,
  transaction_of_many = function()
    return outcome(pg.transaction(function(tx)
      repeat
        local rows = tx.query("sleep", { seconds = 0.01 })
      until not rows
    end))
  end,
  loop_in_transaction = function()
    return pg.transaction(function(tx)
      assert(tx.query("session"))
      while true do
        tonumber("1")
      end
    end)
  end,
  killed_in_transaction = function()
    return outcome(pg.transaction(function(tx)
      return tx.query("suicide")
    end))
  end,
  fill_memory_in_transaction = function()
    return pg.transaction(function(tx)
      assert(tx.query("session"))
      local list = {}
      repeat
        list[#list + 1] = ("x"):rep(1e6) .. #list
      until #list == 1e9
    end)
  end,
  error_in_rows = function()
    local ok, message = pcall(pg.query, "twice")
    return message .. ", " .. outcome(pg.query("session")) .. tostring(ok)
  end,
})
