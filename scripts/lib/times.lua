--- Formats times for responses and events.

local M = {}

--- Year, month and day of a number of days since 1970-01-01, in the proleptic Gregorian calendar.
--- Years start in March, so that the leap day is the last day of a year.
local function date(days)
  local shifted = days + 719468 -- since 0000-03-01
  local era = math.floor(shifted / 146097)
  local day_of_era = shifted - era * 146097
  local year = math.floor(
    (
      day_of_era
      - math.floor(day_of_era / 1460)
      + math.floor(day_of_era / 36524)
      - math.floor(day_of_era / 146096)
    ) / 365
  )
  local day_of_year = day_of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * day_of_year + 2) / 153)
  local day = day_of_year - math.floor((153 * month + 2) / 5) + 1
  month = month < 10 and month + 3 or month - 9
  return year + era * 400 + (month <= 2 and 1 or 0), month, day
end

--- Formats a time as UTC without a zone, with six fraction digits.
---@param us number microseconds since 1970
---@return string text
function M.naive(us)
  local seconds = math.floor(us / 1e6)
  local days = math.floor(seconds / 86400)
  local rest = seconds - days * 86400
  local year, month, day = date(days)
  return ("%04d-%02d-%02dT%02d:%02d:%02d.%06d"):format(
    year,
    month,
    day,
    math.floor(rest / 3600),
    math.floor(rest / 60) % 60,
    rest % 60,
    us - seconds * 1e6
  )
end

--- Formats a time as the platform's events have it: UTC with `Z`.
---@param us number microseconds since 1970
---@return string text
function M.wire(us)
  return M.naive(us) .. "Z"
end

return M
