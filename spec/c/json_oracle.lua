-- json_oracle: random documents, written and read by json and by lua-cjson, which must agree.
-- test_json_oracle.c calls it with lua-cjson's module and draw(below), which gives a number from 0.
--
-- Left out is where lua-cjson 2.1.0 is lenient or lossy: numbers of more than 14 digits, numbers
-- that are not JSON, empty lists (it writes {}), text that is not UTF-8, more than 64 levels.
local cjson, draw = ...
local json = require("json")

local STRINGS = { "", "a", "A b", "\"", "\\", "/", "\n", "\t", "\0", "\31", "\127",
  "é", "€", "😀", "12", "null" }
local ESCAPES = { [["]], [[\]], "/", "b", "f", "n", "r", "t", "u0000", "u00e9", "u20AC",
  "ud83d\\ude00" }
local BLANKS = { "", "", "", " ", "\n", "\t", "\r", " \r\n\t" }
local STRUCTURE = { "{", "}", "[", "]", ",", ":", "\"", " " }

local function pick(list)
  return list[draw(#list) + 1]
end

local function several(most, make)
  local items = {}
  for i = 1, draw(most + 1) do
    items[i] = make()
  end
  return items
end

local function draw_number()
  local whole = draw(1000000) * (draw(2) == 0 and 1 or 1000000) * (draw(2) * 2 - 1)
  return whole / 10 ^ draw(8)
end

local function draw_text()
  return table.concat(several(4, function() return pick(STRINGS) end))
end

-- ---- values ----

local draw_value

local function draw_list(depth)
  local items = several(4, function() return draw_value(depth + 1) end)
  items[1] = #items > 0 and items[1] or 1 -- an empty one has two forms
  return items
end

local function draw_object(depth)
  local object = {}
  for _, key in ipairs(several(4, draw_text)) do
    object[key] = draw_value(depth + 1)
  end
  return object
end

function draw_value(depth)
  local kind = draw(depth < 6 and 7 or 5)
  if kind == 0 then return json.null end
  if kind == 1 then return draw(2) == 0 end
  if kind <= 3 then return draw_number() end
  if kind == 4 then return draw_text() end
  return kind == 5 and draw_list(depth) or draw_object(depth)
end

-- ---- texts ----

local draw_document

local function blank()
  return pick(BLANKS)
end

local function quote()
  return '"' .. table.concat(several(4, function()
    return draw(3) == 0 and "\\" .. pick(ESCAPES) or pick({ "a", "é", "😀", "0", "{", "," })
  end)) .. '"'
end

local function digits()
  local text = tostring(draw(1000000))
  local fraction = draw(2) == 0 and "." .. draw(1000000) or ""
  local exponent = draw(3) == 0 and pick({ "e", "E" }) .. pick({ "", "+", "-" }) .. draw(20) or ""
  return pick({ "", "-" }) .. text .. fraction .. exponent
end

local function members(depth, open, close)
  local parts = several(4, function()
    local key = open == "{" and quote() .. blank() .. ":" .. blank() or ""
    return key .. draw_document(depth + 1) .. blank()
  end)
  return open .. blank() .. table.concat(parts, "," .. blank()) .. close
end

function draw_document(depth)
  local kind = draw(depth < 6 and 7 or 5)
  if kind == 0 then return pick({ "null", "true", "false" }) end
  if kind <= 2 then return digits() end
  if kind <= 4 then return quote() end
  return kind == 5 and members(depth, "[", "]") or members(depth, "{", "}")
end

-- Damages the structure, never the inside of a number, which lua-cjson reads leniently.
local function damage(text)
  local places = {}
  for at = 1, #text do
    if text:sub(at, at):find('[%[%]{},:" ]') then
      places[#places + 1] = at
    end
  end
  if #places == 0 then return text .. pick(STRUCTURE) end
  local at, put = pick(places), pick({ "", pick(STRUCTURE) })
  return text:sub(1, at - draw(2)) .. put .. text:sub(at + 1)
end

-- ---- agreement ----

local function is_same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for key, value in pairs(a) do
    if not is_same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

local function check(holds, what, text)
  if not holds then
    error(what .. ": " .. text, 0)
  end
end

local function compare_writing()
  local value = draw_value(0)
  local ours, theirs = json.encode(value), cjson.encode(value)
  check(is_same(cjson.decode(ours), value), "lua-cjson reads another value from json's text", ours)
  check(is_same((json.decode(theirs)), value), "json reads another value from lua-cjson's text",
    theirs)
end

local function compare_reading(text)
  local ours, failure = json.decode(text)
  local is_read, theirs = pcall(cjson.decode, text)
  check((failure == nil) == is_read, is_read and "lua-cjson alone reads" or "json alone reads",
    text)
  check(not is_read or is_same(ours, theirs), "json and lua-cjson read different values", text)
  return is_read
end

local read, refused = 0, 0
for _ = 1, 2000 do
  compare_writing()
  local text = draw_document(0)
  check(compare_reading(text), "a document is refused", text)
  if compare_reading(damage(text)) then
    read = read + 1
  else
    refused = refused + 1
  end
end
return read, refused
