local pagination = require("lib.pagination")

describe("lib.pagination", function()
  for text, limit in pairs({ ["1"] = 1, ["20"] = 20, ["100"] = 100, ["007"] = 7 }) do
    it("takes the limit " .. text, function()
      assert.are.equal(limit, pagination.read({ limit = text }).limit)
    end)
  end

  local BAD = { "", "0", "101", "-1", "+5", "1.5", "1e1", "0x10", " 5", "ten", "99999999999", "٣" }
  for _, text in ipairs(BAD) do
    it(("refuses the limit %q"):format(text), function()
      local page, problem = pagination.read({ limit = text })
      assert.is_nil(page)
      assert.are.equal("limit must be a whole number from 1 to 100", problem)
    end)
  end

  it("takes offsets that an integer holds, and no others", function()
    assert.are.equal(0, pagination.read({ offset = "0" }).offset)
    assert.are.equal(2147483647, pagination.read({ offset = "2147483647" }).offset)
    for _, text in ipairs({ "2147483648", "-1", "", "x" }) do
      local page, problem = pagination.read({ offset = text })
      assert.is_nil(page)
      assert.are.equal("offset must be a whole number, 0 or more", problem)
    end
  end)

  it("splits a cursor at its first bar", function()
    local page = pagination.read({ cursor = "2025-06-28T08:00:18.023860|a|b" })
    assert.are.equal("2025-06-28T08:00:18.023860", page.after_created_at)
    assert.are.equal("a|b", page.after_batch_id)
  end)

  it("takes the last day of a leap year's February", function()
    assert.is_table(pagination.read({ cursor = "2024-02-29T23:59:59.999999|b" }))
    assert.is_table(pagination.read({ cursor = "2000-02-29T00:00:00.000000|b" }))
  end)

  local CURSORS = { "", "|", "x|b", "2025-06-28T08:00:18.023860", "2025-06-28T08:00:18.023860|",
    "2025-06-28|b", "2025-06-28T08:00:18Z|b", "2025-13-01T00:00:00.000000|b",
    "2025-02-29T00:00:00.000000|b", "2025-01-00T00:00:00.000000|b",
    "2025-01-01T24:00:00.000000|b", "2025-01-01T00:60:00.000000|b",
    "2025-01-01T00:00:60.000000|b", "0000-01-01T00:00:00.000000|b",
    "2100-02-29T00:00:00.000000|b" }
  for _, text in ipairs(CURSORS) do
    it(("refuses the cursor %q"):format(text), function()
      local page, problem = pagination.read({ cursor = text })
      assert.is_nil(page)
      assert.are.equal("cursor is invalid: use next_cursor of the previous page", problem)
    end)
  end
end)
