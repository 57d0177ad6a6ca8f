local reactions = require("testing.reactions")

local function publish(row)
  return assert(reactions.run("reactions/@name@", row))
end

describe("reactions.@name@", function()
  it("says what is true of a key", function()
    local message = publish({ key = "k-1", count = 2, at_us = 1751097600000000 })[1]
    assert.are.equal("@topic@", message.topic)
    assert.are.equal("k-1", message.key)
    assert.are.same({ id = message.identity, key = "k-1", count = 2 }, message.value)
    assert.are.equal(1751097600000000, message.at)
  end)

  it("says the same of the same, and something new of what has changed", function()
    local row = { key = "k-1", count = 2, at_us = 1751097600000000 }
    local first = publish(row)[1].identity
    assert.are.equal(first, publish(row)[1].identity)
    row.count = 3
    assert.are_not.equal(first, publish(row)[1].identity)
  end)
end)
