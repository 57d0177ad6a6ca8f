--- Helpers of reports for people: text, numbers and times. Argument: the module json. Returns a
--- function that makes the helpers for a terminal, or for a file.
local json = ...

local colours = { healthy = "32", degraded = "33", unhealthy = "31", warning = "33", error = "31",
  title = "1", bar = "7" }

local function escape(character)
  return ("\\x%02X"):format(character:byte(-1))
end

--- Escapes what a terminal would obey, in each string of the value: C0 but newline, DEL, C1, and
--- the controls of the bidirectional algorithm (U+061C, U+200E, U+200F, U+202A to E, U+2066 to 9).
local function clean(value)
  if type(value) == "string" then
    return (value:gsub("[%z\1-\9\11-\31\127]", escape):gsub("\194[\128-\159]", escape)
      :gsub("\216\156", escape):gsub("\226\128[\142\143\170-\174]", escape)
      :gsub("\226\129[\166-\169]", escape))
  elseif type(value) ~= "table" then
    return value
  end
  local cleaned = {}
  for key, member in pairs(value) do
    cleaned[clean(key)] = clean(member)
  end
  return cleaned
end

local function known(value)
  return value ~= nil and value ~= json.null
end

local function plural(count, noun)
  return ("%d %s%s"):format(count, noun, count == 1 and "" or "s")
end

local function sorted_names(object)
  local names = {}
  for name in pairs(object) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function span(seconds)
  seconds = math.max(math.floor(seconds), 0)
  local days, hours = math.floor(seconds / 86400), math.floor(seconds % 86400 / 3600)
  local minutes = math.floor(seconds % 3600 / 60)
  if days > 0 then
    return ("%d d %d h"):format(days, hours)
  elseif hours > 0 then
    return ("%d h %d min"):format(hours, minutes)
  elseif minutes > 0 then
    return ("%d min %d s"):format(minutes, seconds % 60)
  end
  return ("%d s"):format(seconds)
end

--- 1234.5 as "1,234"; below ten with one decimal.
local function count_of(number)
  if number < 9.95 and number % 1 ~= 0 then
    return ("%.1f"):format(number)
  end
  local digits = ("%.0f"):format(number)
  return (digits:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

local function duration(seconds)
  if not known(seconds) then
    return "-"
  end
  return seconds < 1 and ("%.1f ms"):format(seconds * 1000) or ("%.1f s"):format(seconds)
end

--- Days since 1970-01-01 of a date of the Gregorian calendar (Howard Hinnant, days_from_civil).
local function days_of(year, month, day)
  year = month <= 2 and year - 1 or year
  local era = math.floor(year / 400)
  local of_era = year - era * 400
  local of_year = math.floor((153 * (month + (month > 2 and -3 or 9)) + 2) / 5) + day - 1
  return era * 146097 + of_era * 365 + math.floor(of_era / 4) - math.floor(of_era / 100) + of_year
    - 719468
end

--- Seconds since 1970 of a time as JSON has it.
local function seconds_of(time)
  local year, month, day, hour, minute, second =
    time:match("^(%d+)-(%d+)-(%d+)T(%d+):(%d+):([%d.]+)Z$")
  return days_of(tonumber(year), tonumber(month), tonumber(day)) * 86400 + hour * 3600
    + minute * 60 + second
end

--- columns: of the terminal; 0: no limit. colour: whether it shows colours.
return function(columns, colour)
  local ui = { clean = clean, known = known, plural = plural, sorted_names = sorted_names,
    span = span, count_of = count_of, duration = duration, seconds_of = seconds_of, lines = {} }

  function ui.paint(kind, shown)
    local code = colour and colours[kind]
    return code and ("\27[%sm%s\27[0m"):format(code, shown) or shown
  end

  --- The first `width` characters; a longer text ends with "…". Also returns their number.
  function ui.clip(shown, width)
    local characters = {}
    for character in shown:gmatch("[%z\1-\127\194-\244][\128-\191]*") do
      characters[#characters + 1] = character
    end
    if columns == 0 or #characters <= width then
      return shown, #characters
    end
    return table.concat(characters, "", 1, math.max(width - 1, 0)) .. "…", width
  end

  function ui.pad(shown, width)
    local clipped, length = ui.clip(shown, width)
    return clipped .. (" "):rep(width - length)
  end

  function ui.pad_left(shown, width)
    local clipped, length = ui.clip(shown, width)
    return (" "):rep(width - length) .. clipped
  end

  function ui.put(format, ...)
    ui.lines[#ui.lines + 1] = select("#", ...) > 0 and format:format(...) or format
  end

  function ui.title(shown)
    ui.put("%s", ui.paint("title", (ui.clip(shown, columns))))
  end

  --- Lines with the words wrapped at the terminal's width.
  function ui.put_wrapped(indent, shown, kind)
    local line = ""
    for word in shown:gmatch("%S+") do
      if columns > 0 and line ~= "" and #indent + #line + 1 + #word > columns then
        ui.put("%s%s", indent, ui.paint(kind, line))
        line = word
      else
        line = line == "" and word or line .. " " .. word
      end
    end
    ui.put("%s%s", indent, ui.paint(kind, line))
  end

  return ui
end
