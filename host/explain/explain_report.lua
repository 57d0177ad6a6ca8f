--- An explanation as text for people. Arguments: the module json, the explanation's text, how many
--- of each list are printed, and the helpers of report_text.lua.
local json, text, limit, report_text = ...
local explanation = assert(json.decode(text))
local ui = report_text(0, false)
local put, sorted_names, plural = ui.put, ui.sorted_names, ui.plural

--- Puts `before` and the value, if there is one.
local function put_part(before, value)
  if value ~= json.null then
    put("%s%s", before, value)
  end
end

--- Puts the first items of the list, and how many more there are, `left_out` included.
local function put_list(title, items, put_item, left_out)
  put(#items > 0 and title or "")
  for i = 1, math.min(#items, limit) do
    put_item(items[i])
  end
  local more = #items - math.min(#items, limit) + (left_out or 0)
  if more > 0 then
    put("    … and %d more\n", more)
  end
end

local function put_place(record)
  put("%s [%d] @ %d, stored %s", record.topic, record.partition, record.offset,
    record.stored_at == json.null and "unknown" or record.stored_at)
  put_part(", scripts ", record.scripts)
end

-- Rows ------------------------------------------------------------------------------------------

local function put_event(event)
  put("    %-16s  %s  %s\n%24s", event.outcome, event.at, event.event_id, "")
  put_place(event)
  if event.rests_on ~= json.null then
    put("\n%24sdepends on a reply of %s: not derived again", "", event.rests_on)
  end
  put("\n")
end

local function put_group(group)
  local found = group.event_id == json.null
  for _, event in ipairs(group.events) do
    found = found or event.outcome == "wrote"
  end
  if #group.events == 0 and found then
    return
  end
  put("  %s (%s)\n", group.name, group.rule)
  if not found then
    put("    %-16s  %s  %s", "wrote", group.at, group.event_id)
    put("\n%24sits event is not in the records that were read: --since beginning reads all\n", "")
  end
  put_list("", group.events, put_event)
end

local function put_row(row)
  put("%s", row.table)
  for _, name in ipairs(sorted_names(row.key)) do
    put(" %s=%s", name, row.key[name])
  end
  put(row.in_view and "\n" or "  (not in the view)\n")
  for _, group in ipairs(row.groups) do
    put_group(group)
  end
  put("\n")
end

-- Records that changed nothing ------------------------------------------------------------------

local function put_rejected(event)
  put_part("    ", event.reason)
  put_part(": ", event.detail)
  put_part("\n        event ", event.event_id)
  put("\n        %s [%d] @ %d", event.topic, event.partition, event.offset)
  put_part(", rejected ", event.rejected_at)
  put_part(", scripts ", event.scripts)
  put("\n")
end

local function put_other(record)
  put("    %-16s  event %s\n", record.outcome,
    record.event_id == json.null and "without id" or record.event_id)
  if record.rests_on ~= json.null then
    put("        depends on a reply of %s\n", record.rests_on)
  elseif record.reason ~= json.null then
    put("        %s", record.reason)
    put_part(": ", record.detail)
    put("\n")
  end
  put("        ")
  put_place(record)
  put("\n")
end

-- What was published ----------------------------------------------------------------------------

local today = {
  ["the same"] = "the present scripts make the same message",
  ["other content"] = "the present scripts make other content, which is not published: ",
  ["not made"] = "the present scripts do not make this message",
  ["unknown"] = "unknown whether the present scripts make it",
  ["new"] = "the present scripts make it; the outbox does not have it: ",
}

local function put_message(message)
  put_part("    ", message.id == json.null and "not stored" or message.state)
  put_part("  message ", message.id)
  put_part("  ", message.topic)
  put_part("  key ", message.key)
  put_part("\n        identity ", message.identity)
  put_part("\n        by ", message.source)
  put_part(" of ", message.about)
  put_part(", scripts ", message.scripts)
  put_part("\n        true since ", message.fact_at)
  put_part(", stored ", message.created_at)
  put_part(", done ", message.done_at)
  put_part("\n        traceparent ", message.traceparent)
  put_part("\n        ", message.error)
  put("\n        today: %s", today[message.today])
  put_part("", message.value_today)
  put("\n")
end

--- The row that the query returns now; the JSON form has long values whole.
local function put_answer(row)
  for _, name in ipairs(sorted_names(row)) do
    local value = row[name] == json.null and "-" or row[name]
    put("        %-24s %s%s\n", name, value:sub(1, 200), #value > 200 and " …" or "")
  end
end

local function put_reaction(reaction)
  put("    %s of %s: ", reaction.reaction, reaction.key)
  if reaction.error ~= json.null then
    put("%s", reaction.error)
  else
    put("%s of queries/%s now, %s", plural(#reaction.rows, "row"), reaction.query,
      plural(reaction.messages, "message"))
  end
  put_part("\n        marked since ", reaction.marked_at)
  put_part(", failed attempts ", reaction.mark_attempts)
  put_part(": ", reaction.mark_error)
  put("\n")
  if explanation.message ~= json.null then
    for _, row in ipairs(reaction.rows) do
      put_answer(row)
    end
  end
end

local function put_all(title, items, put_item)
  put(#items > 0 and title or "")
  for _, item in ipairs(items) do
    put_item(item)
  end
end

put_all("", explanation.rows, put_row)
put_all("rejected events that contain the id\n", explanation.rejected, put_rejected)
put_all("other records that contain the id\n", explanation.without_effect, put_other)
if explanation.message ~= json.null then
  put("the message\n")
  put_message(explanation.message)
end
put_list("reactions that follow the rows\n", explanation.reactions, put_reaction,
  explanation.reactions_left_out)
local published = {}
for _, message in ipairs(explanation.published) do
  if explanation.message == json.null or message.id ~= explanation.message.id then
    published[#published + 1] = message
  end
end
put_list(explanation.message == json.null and "published messages\n"
  or "other published messages\n", published, put_message)
if #explanation.rows + #explanation.rejected + #explanation.without_effect
    + #explanation.published == 0 then
  put("neither the view nor the log contains %s\n", explanation.id)
end
put("%s read, from %s on\n", plural(explanation.records_read, "record"),
  explanation.read_since == json.null and "the beginning" or explanation.read_since)
return table.concat(ui.lines)
