--- Translates the comments of the language server (LuaCATS: `---@param name type words`) into
--- those of LDoc (`-- @tparam type name words`), so that both are made from one text. The first
--- comment of a file is its module's.
---
---     luajit tools/lib/ldoc/translate.lua MODULE IN.lua OUT.lua
---
--- A tag that is not known here is an error: nothing may be lost on the way.

--- The type at the start of a text, and what stands behind it.
local function split_type(text)
  local depth, at = 0, 1
  while at <= #text do
    local char = text:sub(at, at)
    if char == '"' then
      at = text:find('"', at + 1, true) or #text
    elseif char:find("[%(%[{<]") then
      depth = depth + 1
    elseif char:find("[%)%]}>]") then
      depth = depth - 1
    elseif char == " " and depth == 0 and not text:sub(1, at - 1):find("[:,|]$") then
      break
    end
    at = at + 1
  end
  return text:sub(1, at - 1), (text:sub(at):gsub("^ +", ""))
end

--- A type as LDoc shows it: no blanks; lists and maps as tables with examples of their items.
local function translate_type(source)
  if source:find("^fun%(") then
    return "func"
  end
  local name = source:gsub("%s", ""):gsub("%?$", "")
  local changed
  repeat
    changed = name
    name = name:gsub("table<([%w_.]+),([^<>]+)>", "{[%1]=%2,...}")
    name = name:gsub("%(([^()]+)%)%[%]", "{%1,...}"):gsub("(%b{})%[%]", "{%1,...}")
    name = name:gsub("([%w_.]+)%[%]", "{%1,...}"):gsub("^%[([^%]]+)%]$", "{%1}")
  until name == changed
  return source:find("%?$") and "?" .. name or name
end

local translators = {}

function translators.param(text)
  local name, rest = text:match("^(%S+) (.*)$")
  local source, words = split_type(rest)
  local optional = name:find("%?$") and "[opt]" or ""
  local shown = name:gsub("%?$", "")
  return ("@tparam%s %s %s %s"):format(optional, translate_type(source), shown, words)
end

translators["return"] = function(text)
  local source, rest = split_type(text)
  local name, words = rest:match("^(%S*) ?(.*)$")
  return ("@treturn %s %s"):format(translate_type(source), words ~= "" and words or name)
end

function translators.field(text)
  local name, rest = text:match("^(%S+) (.*)$")
  local source, words = split_type(rest)
  local optional = name:find("%?$") and "?" or ""
  local shown = name:gsub("%?$", ""):gsub("^%[(.*)%]$", "%1")
  return ("@tfield %s%s %s %s"):format(optional, translate_type(source), shown, words)
end

for _, silent in ipairs({ "meta", "generic", "type", "diagnostic" }) do
  translators[silent] = function() end
end

--- A table, or, with functions, a type.
local function translate_class(text, code)
  local name = text:match("^([%w_.]+)")
  local variable = code:match("^local ([%w_]+) = {}")
  return variable and "@type " .. variable or "@table " .. name
end

--- Markdown of the renderer: code is indented.
local function translate_words(state, words)
  if words:find("^ *```") then
    state.in_code = not state.in_code
    return nil
  end
  return (state.in_code and "    " or "") .. words
end

--- LDoc passes over a function of which no parameter is described.
local function check_parameters(block, code)
  local signature = code:match("^function [%w_.:]+%((.*)%)")
  local described = {}
  for _, line in ipairs(block) do
    described[#described + 1] = line:match("^%-%-%-@param (%S-)%?? ")
  end
  local names = table.concat(described, ", ")
  if signature and signature ~= names then
    error(("%s describes the parameters (%s)"):format(code, names), 0)
  end
end

local function translate_block(state, block, code)
  local out, tags = {}, {}
  for _, line in ipairs(block) do
    local tag, text = line:match("^%-%-%-@(%a+) ?(.*)$")
    if tag == "class" then
      tags[#tags + 1] = state.module_done and translate_class(text, code) or nil
    elseif tag then
      local translator = translators[tag] or error("no tag @" .. tag .. " is known", 0)
      tags[#tags + 1] = translator(text)
    elseif #tags > 0 then
      error("words behind a tag are not its own: " .. line, 0)
    else
      out[#out + 1] = translate_words(state, (line:gsub("^%-%-%- ?", "")))
    end
  end
  if #out > 0 and not state.module_done then
    state.module_done = true
    tags = { "@module " .. state.module }
  end
  for _, tag in ipairs(tags) do
    out[#out + 1] = tag
  end
  for i, line in ipairs(out) do
    out[i] = (i == 1 and "--- " or "-- ") .. line
  end
  return out
end

local function translate_file(state, lines)
  local out, block = {}, {}
  for _, line in ipairs(lines) do
    if line:find("^%-%-%-") then
      block[#block + 1] = line
    else
      if #block > 0 then
        check_parameters(block, line)
      end
      for _, translated in ipairs(translate_block(state, block, line)) do
        out[#out + 1] = translated
      end
      block = {}
      out[#out + 1] = line
    end
  end
  return out
end

local module_name, source_path, target_path = ...
local lines = {}
for line in io.lines(source_path) do
  lines[#lines + 1] = line
end
local done, result = pcall(translate_file, { module = module_name }, lines)
if not done then
  io.stderr:write(source_path, ": ", result, "\n")
  os.exit(1)
end
local target = assert(io.open(target_path, "w"))
assert(target:write(table.concat(result, "\n"), "\n"))
assert(target:close())
