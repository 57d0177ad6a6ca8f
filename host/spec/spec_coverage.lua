--- Prints which lines of the scripts ran. Part of the binary; has all of Lua's libraries.
---
---@param files { path: string, text: string, hits: table }[]
---@return number percent of all lines that can run
local files = ...
local util = require("jit.util")

--- Adds the lines that have instructions, of a function and of the functions in it.
local function add_active(func, lines)
  local info = util.funcinfo(func)
  for pc = 1, info.bytecodes - 1 do
    lines[util.funcinfo(func, pc).currentline] = true
  end
  for i = 1, info.children and info.gcconsts or 0 do
    local constant = util.funck(func, -i)
    if type(constant) == "proto" then
      add_active(constant, lines)
    end
  end
end

--- Lines of brackets and keywords alone: an instruction there says nothing of its own.
local function is_bare(line)
  line = line:gsub("%-%-.*$", "")
  return not line:gsub("%f[%w]end%f[%W]", ""):gsub("%f[%w]else%f[%W]", ""):find("[%w_]")
end

local function measure(file)
  local active, number, all, ran, missing = {}, 0, 0, 0, {}
  add_active(assert(loadstring(file.text, "@" .. file.path)), active)
  for line in (file.text .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    if active[number] and not is_bare(line) then
      all = all + 1
      if file.hits[number] then
        ran = ran + 1
      else
        missing[#missing + 1] = number
      end
    end
  end
  return all, ran, missing
end

--- { 3, 4, 5, 9 } as "3-5 9".
local function ranges(numbers)
  local parts, i = {}, 1
  while i <= #numbers do
    local last = i
    while numbers[last + 1] == numbers[last] + 1 do
      last = last + 1
    end
    parts[#parts + 1] = last > i and numbers[i] .. "-" .. numbers[last] or numbers[i]
    i = last + 1
  end
  return table.concat(parts, " ")
end

local function percent(ran, all)
  return all == 0 and 100 or 100 * ran / all
end

local total, total_ran = 0, 0
print(("%-44s %5s %5s %7s  %s"):format("script", "lines", "run", "%", "not run"))
for _, file in ipairs(files) do
  local all, ran, missing = measure(file)
  total, total_ran = total + all, total_ran + ran
  print(
    ("%-44s %5d %5d %7.1f  %s"):format(file.path, all, ran, percent(ran, all), ranges(missing))
  )
end
print(("%-44s %5d %5d %7.1f"):format("all", total, total_ran, percent(total_ran, total)))
return percent(total_ran, total)
