--- Runs one spec file under busted. Part of the binary; this chunk's globals are all of Lua's
--- libraries, those of specs and scripts are `sandbox`.
---
---@param sandbox table globals of specs and scripts
---@param limited_xpcall function xpcall under the time limit of scripts
---@param modules table what `require` in the sandbox has loaded, by name
---@param doubles string[] names of bindings that have a double
---@return fun(chunk: function, path: string): integer, integer, integer run prints failures
local sandbox, limited_xpcall, modules, doubles = ...

local trusted = getfenv(1)
local busted_globals = { _G = sandbox, xpcall = limited_xpcall }
setmetatable(busted_globals, { __index = trusted })

local INSTALL = "busted cannot be loaded; on Debian: apt-get install lua-busted\n"

-- `require` here must load chunks into our globals, not into those of the state. busted looks up
-- the globals of specs in its own `_G`.
table.insert(package.loaders, 2, function(name)
  local path, tried = package.searchpath(name, package.path)
  if not path then
    return tried
  end
  local chunk = assert(loadfile(path))
  jit.off(chunk, true) -- without guards, it must not be compiled: see host/script/fuel.h
  return setfenv(chunk, name:find("^busted") and busted_globals or trusted)
end)

-- What busted asks of two C modules, which would set globals, and would load Lua's library again.
package.preload.lfs = function()
  return { attributes = function() end, currentdir = function() end }
end
package.preload.system = function()
  return { gettime = os.time, monotime = os.clock, sleep = function() end }
end

local function load_busted()
  local busted = require("busted.core")()
  require("busted")(busted)
  return busted
end

local found, busted = pcall(load_busted)
if not found then
  error(INSTALL .. tostring(busted), 0)
end

-- Specs declare their globals too.
local function probe() end
busted.wrap(probe)
debug.getmetatable(getfenv(probe)).__newindex = function(_, name)
  error(('global "%s" is not declared: write local'):format(tostring(name)), 2)
end

local resets = {}
for _, name in ipairs(doubles) do
  local double = sandbox.require("doubles." .. name)
  modules[name] = double.binding
  resets[#resets + 1] = double.reset
end
busted.executors.before_each(function()
  for _, reset in ipairs(resets) do
    reset()
  end
end)

local function full_name(element)
  local names = {}
  while element and element.descriptor ~= "file" do
    table.insert(names, 1, element.name or element.descriptor)
    element = busted.context.parent(element)
  end
  return table.concat(names, " ")
end

--- The lines of a traceback that are the author's, or nothing.
local function own_lines(traceback)
  local lines = {}
  for line in (traceback or ""):gmatch("[^\n]+") do
    local own = line:find("%.lua:") and not line:find("/luassert/") and not line:find("/busted/")
    if own then
      lines[#lines + 1] = line
    end
  end
  return lines
end

local function report(element, message, trace)
  message = tostring(message)
  local own = own_lines(trace and trace.traceback)
  local place, text = message:match("^(%S-:%d+): (.*)$")
  if not place or place:find("/busted/", 1, true) or place:find("^spec_runner") then
    local declared = element.trace
    place = own[1] and own[1]:match("^%s*(%S-:%d+):")
      or declared and declared.source:sub(2) .. ":" .. declared.currentline
      or element.name
  end
  local first, rest = (text or message):match("^([^\n]*)\n?(.*)$")
  io.write(("%s: %s: %s\n"):format(place, full_name(element), first))
  for line in rest:gmatch("[^\n]+") do
    if not line:find("/busted/", 1, true) and not line:find("'xpcall'", 1, true) then
      io.write("    ", line, "\n")
    end
  end
  for _, line in ipairs(own) do
    io.write("    ", (line:gsub("^%s+", "")), "\n")
  end
end

-- busted asks a file how to tell places and messages: as Lua has them.
local function keep_trace(_, info)
  return info
end

local function keep_message(_, message)
  return message
end

return function(chunk, path)
  local passed, failed, skipped = 0, 0, 0
  local function count_failure(element, _, message, trace)
    failed = failed + 1
    report(element, message, trace)
    return nil, true
  end
  busted.subscribe({ "failure" }, count_failure)
  busted.subscribe({ "error" }, count_failure)
  busted.subscribe({ "test", "end" }, function(_, _, status)
    passed = passed + (status == "success" and 1 or 0)
    skipped = skipped + (status == "pending" and 1 or 0)
    return nil, true
  end)
  local file = { getTrace = keep_trace, rewriteMessage = keep_message }
  busted.executors.file(path, setmetatable(file, { __call = chunk }))
  require("busted.execute")(busted)(1, {})
  if passed + failed + skipped == 0 then
    io.write(path, ": no test in this file\n")
    failed = 1
  end
  return passed, failed, skipped
end
