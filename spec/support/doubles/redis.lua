--- The double of the redis binding: replies by command, keeps the calls. A command without a set
--- reply returns nil, like a missing key.

local arguments = require("testing.arguments")

local M = {}

local answers, failure, calls

--- Clears replies, failures and calls; called before each `it`.
function M.reset()
  answers, failure, calls = {}, nil, {}
end

--- Sets the reply of a command.
---@param command string such as "GET"
---@param reply? string|number|table
function M.answers(command, reply)
  answers[command:upper()] = reply
end

--- Makes every further command fail.
---@param err? { kind: string, message?: string } default: unavailable
function M.fails(err)
  failure = err or { kind = "unavailable", message = "the double fails" }
end

--- The commands so far, with their arguments.
---@return (string|number)[][] commands
function M.calls()
  return calls
end

local function check_command(name, command)
  if #command == 0 then
    error(name .. ": a command is needed", 3)
  end
  for i, word in ipairs(command) do
    arguments.check(name, i, word, "string", "number")
  end
end

local function run(command)
  calls[#calls + 1] = command
  return answers[tostring(command[1]):upper()]
end

M.reset()

--- The module that scripts get for `require "redis"`.
M.binding = {}

function M.binding.call(command, ...)
  local words = { command, ... }
  check_command("call", words)
  if failure then
    return nil, failure
  end
  return run(words)
end

function M.binding.pipeline(commands)
  arguments.check("pipeline", 1, commands, "table")
  for _, command in ipairs(commands) do
    arguments.check("pipeline", 1, command, "table")
    check_command("pipeline", command)
  end
  if failure then
    return nil, failure
  end
  local replies = {}
  for i, command in ipairs(commands) do
    local reply = run(command)
    if reply == nil then
      reply = false -- as in every list
    end
    replies[i] = reply
  end
  return replies
end

return M
