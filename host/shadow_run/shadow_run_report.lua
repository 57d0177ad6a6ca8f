--- A shadow run's result as text for people. Arguments: the module json, the result's text, a
--- number, and the helpers of report_text.lua.
local json, text, _, report_text = ...
local result = assert(json.decode(text))
local ui = report_text(0, false)
local say, counted = ui.put, ui.plural

local function shown(value)
  return value == json.null and "(null)" or tostring(value)
end

--- What the list of examples leaves out of the count.
local function say_rest(indent, count, examples)
  if count > #examples then
    say("%s… and %d more", indent, count - #examples)
  end
end

local function say_change(example)
  say("      old: %s", shown(example.old))
  say("      new: %s", shown(example.new))
end

local function say_side(name, side)
  say("%s  %s, %s  %s: %d applied, %d superseded, %d ignored, %d rejected%s; %.2f µs of CPU each",
    name, side.hash, side.compiled and "compiled" or "interpreted", counted(side.events, "event"),
    side.applied, side.superseded, side.ignored, side.rejected,
    side.expired > 0 and (", %d expired"):format(side.expired) or "", side.cpu_us_per_event)
end

local function say_keys(title, count, keys)
  if count > 0 then
    say("  %s: %s", title, counted(count, "row"))
  end
  for _, key in ipairs(keys) do
    say("    %s", key)
  end
  say_rest("    ", count, keys)
end

local function say_column(column)
  say("  %s: in %s", column.column, counted(column.rows, "row"))
  for _, example in ipairs(column.examples) do
    say("    %s", example.key)
    say_change(example)
  end
  say_rest("    ", column.rows, column.examples)
end

local function say_table(item)
  local differing = item.differing + item.only_old + item.only_new
  if differing == 0 then
    say("%s: %s, equal", item.table, counted(item.rows, "row"))
    return
  end
  say("%s: %d of %s differ", item.table, differing, counted(item.rows, "row"))
  say_keys("made by the old scripts only", item.only_old, item.only_old_keys)
  say_keys("made by the new scripts only", item.only_new, item.only_new_keys)
  for _, column in ipairs(item.columns) do
    say_column(column)
  end
end

local function say_messages(which, count, messages)
  if count > 0 then
    say("  by the %s scripts only: %s", which, counted(count, "message"))
  end
  for _, message in ipairs(messages) do
    say("    to %s  key %s  identity %s", message.topic, shown(message.key), message.identity)
    say("      %s", message.value)
  end
  say_rest("    ", count, messages)
end

local function say_field(field)
  say("  %s: in %s", field.field, counted(field.messages, "message"))
  for _, example in ipairs(field.examples) do
    say("    to %s  key %s", example.topic, shown(example.key))
    say_change(example)
  end
  say_rest("    ", field.messages, field.examples)
end

local function say_published(item)
  local differing = item.differing + item.only_old + item.only_new
  if differing == 0 then
    say("%s publishes %s, equal", item.source, counted(item.messages, "message"))
    return
  end
  say("%s publishes %s, %d of them differ", item.source, counted(item.messages, "message"),
    differing)
  say_messages("old", item.only_old, item.only_old_messages)
  say_messages("new", item.only_new, item.only_new_messages)
  for _, field in ipairs(item.fields) do
    say_field(field)
  end
end

local function say_failing()
  local counts = { old = result.no_longer_failing, new = result.newly_failing }
  for _, which in ipairs({ "old", "new" }) do
    if counts[which] > 0 then
      say("reactions of the %s scripts only fail: for %s", which, counted(counts[which], "key"))
    end
  end
  for _, one in ipairs(result.failing) do
    local by_old = one.new == json.null
    say("  %s  key %s, of the %s scripts", one.reaction, one.key, by_old and "old" or "new")
    say("    %s", ((by_old and one.old or one.new):gsub("\n", "\n    ")))
  end
  if result.failing_on_both > 0 then
    say("reactions of both scripts fail: for %s", counted(result.failing_on_both, "key"))
  end
end

local function say_undecided()
  if result.not_compared > 0 then
    say("not compared, because of replies of other systems: %s",
      counted(result.not_compared, "event"))
  end
  for _, event in ipairs(result.not_compared_events) do
    say("  %s/%d/%d  event %s", event.topic, event.partition, event.offset, shown(event.event_id))
    say("    %s depends on a reply of %s", event.handler, event.rests_on)
  end
  say_rest("  ", result.not_compared, result.not_compared_events)
end

local function say_rejected(title, count, examples)
  if count > 0 then
    say("rejected by the %s scripts only: %s", title, counted(count, "event"))
  end
  for _, event in ipairs(examples) do
    say("  %s/%d/%d  event %s", event.topic, event.partition, event.offset, shown(event.event_id))
    say("    %s: %s: %s", event.handler, event.reason, (event.detail:gsub("\n", "\n    ")))
  end
  say_rest("  ", count, examples)
end

say("%s, %s, %s, in %.1f s", counted(result.events, "event"), counted(result.rows, "row"),
  counted(result.messages, "message"), result.took_ms / 1000)
say_side("old", result.old)
say_side("new", result.new)
for _, which in ipairs({ "old", "new" }) do
  for _, what in ipairs(result["only_" .. which]) do
    local compared = what:find("^reaction ") and "" or ", and not compared"
    say("declared by the %s scripts only%s: %s", which, compared, what)
  end
end
for _, item in ipairs(result.tables) do
  say_table(item)
end
for _, item in ipairs(result.published) do
  say_published(item)
end
say_failing()
for _, reason in ipairs(result.rejected) do
  say("rejected by %s, %s: %d old, %d new", reason.handler, reason.reason, reason.old, reason.new)
end
say_undecided()
say_rejected("old", result.no_longer_rejected, result.rejected_by_old_only)
say_rejected("new", result.newly_rejected, result.rejected_by_new_only)
say(result.equal and "equal" or "different")
return table.concat(ui.lines, "\n") .. "\n"
