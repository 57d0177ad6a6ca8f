--- The settings as text for people. Arguments: the module json, the object's text, whether
--- settings are described (1), and the helpers of report_text.lua.
local json, text, describe, report_text = ...
local shown = assert(json.decode(text))
local KEY_WIDTH, VALUE_WIDTH = 30, 30
local ui = report_text(0, false)
local put, sorted_names = ui.put, ui.sorted_names

--- A list or map as in the configuration, other values as JSON.
local function value_text(value)
  if type(value) ~= "table" then
    return json.encode(value)
  end
  local items = {}
  for _, item in ipairs(value) do
    items[#items + 1] = json.encode(item)
  end
  if #items == 0 then
    for _, name in ipairs(sorted_names(value)) do
      items[#items + 1] = ("[%s] = %s"):format(json.encode(name), json.encode(value[name]))
    end
  end
  return #items == 0 and "{}" or ("{ %s }"):format(table.concat(items, ", "))
end

local function source_text(setting)
  local places, in_file = {}, {}
  for _, name in ipairs(setting.in_environment_file) do
    in_file[name] = " in " .. shown.environment_file
  end
  for _, name in ipairs(setting.variables) do
    places[#places + 1] = name .. (in_file[name] or "")
  end
  for _, place in ipairs(setting.files) do
    places[#places + 1] = place
  end
  return #places == 0 and "default" or table.concat(places, ", ")
end

local function put_description(setting)
  local range = ""
  if setting.min then
    range = (", %d to %d"):format(setting.min, setting.max)
  elseif setting.words then
    range = (", one of %s"):format(setting.words)
  end
  put("    %s\n    default %s%s; %s; a change needs a %s\n", setting.description,
    value_text(setting.default), range, setting.variable, setting.change)
end

local function put_setting(setting)
  put("%-" .. KEY_WIDTH .. "s  %-" .. VALUE_WIDTH .. "s  %s\n", setting.key,
    value_text(setting.value), source_text(setting))
  if setting.needs_restart ~= nil then
    put("    on the disk: %s, which a %s applies\n", value_text(setting.on_disk),
      setting.needs_restart and "restart" or "reload")
  end
  if describe == 1 then
    put_description(setting)
  end
end

for i, file in ipairs(shown.files) do
  put("%s%s\n", i == 1 and "# " or "# which extends ", file)
end
if shown.disk_error then
  put("# on the disk the configuration is wrong:\n#   %s\n",
    (shown.disk_error:gsub("\n", "\n#   ")))
end
for _, setting in ipairs(shown.settings) do
  put_setting(setting)
end
for _, warning in ipairs(shown.warnings) do
  put("# warning: %s\n", warning)
end
return table.concat(ui.lines)
