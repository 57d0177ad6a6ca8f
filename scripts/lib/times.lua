--- Times as answers state them.
-- @module lib.times

local M = {}

local US_PER_DAY = 24 * 60 * 60 * 1000000

-- Year, month, day of a day counted from 1970-01-01; years are counted from March, so that the leap
-- day is a year's last.
local function civil(days)
  local shifted = days + 719468
  local era = math.floor(shifted / 146097)
  local day_of_era = shifted - era * 146097
  local year_of_era = math.floor((day_of_era - math.floor(day_of_era / 1460)
    + math.floor(day_of_era / 36524) - math.floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era
    - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
  local from_march = math.floor((5 * day_of_year + 2) / 153)
  local day = day_of_year - math.floor((153 * from_march + 2) / 5) + 1
  local month = from_march < 10 and from_march + 3 or from_march - 9
  return year_of_era + era * 400 + (month <= 2 and 1 or 0), month, day
end

--- Naive UTC with six fraction digits: 2026-02-01T08:00:00.000000
-- @tparam number us microseconds since 1970
-- @treturn string
function M.wire(us)
  local days = math.floor(us / US_PER_DAY)
  local year, month, day = civil(days)
  local of_day = us - days * US_PER_DAY
  local seconds = math.floor(of_day / 1000000)
  return ("%04d-%02d-%02dT%02d:%02d:%02d.%06d"):format(year, month, day,
    math.floor(seconds / 3600), math.floor(seconds / 60) % 60, seconds % 60, of_day % 1000000)
end

return M
