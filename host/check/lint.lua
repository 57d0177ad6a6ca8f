--- luacheck's warnings about a script. Embedded; runs in a state of its own with all of Lua's libraries.
--- Returns nil if luacheck is not installed.
---
---@param names string[] globals that scripts have
---@return (fun(text: string): table[])? lint line, text and name of each warning
local names = ...

local found, luacheck = pcall(require, "luacheck")
if not found then
  return nil
end

-- Reports probable mistakes only: no style, and no unused arguments or loop variables.
local options = {
  std = { read_globals = names },
  max_line_length = false,
  ignore = { "6..", "212", "213" },
}

return function(text)
  local found_here = {}
  for _, warning in ipairs(luacheck.check_strings({ text }, options)[1]) do
    if warning.code ~= "011" then -- loading reports syntax errors
      found_here[#found_here + 1] = { warning.line, luacheck.get_message(warning), warning.name }
    end
  end
  return found_here
end
