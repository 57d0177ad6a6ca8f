--- The double of the log binding: keeps lines instead of writing them.

local arguments = require("testing.arguments")

local M = {}

local lines

--- Clears the lines; called before each `it`.
function M.reset()
  lines = {}
end

--- The lines so far.
---@return { level: string, message: string, fields: table }[] lines
function M.lines()
  return lines
end

M.reset()

--- The module that scripts get for `require "log"`.
M.binding = {}

for _, level in ipairs({ "debug", "info", "warning", "error" }) do
  M.binding[level] = function(message, fields)
    arguments.check(level, 1, message, "string")
    lines[#lines + 1] = { level = level, message = message, fields = fields or {} }
  end
end

return M
