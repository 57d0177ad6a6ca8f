--- The state of the running program as text for people. Arguments: the module json, an object with
--- `status` (what the program answered), `now` (when it did), `columns` of the terminal (0: no limit)
--- and `colour`; a number, and the helpers of report_text.lua.
local json, text, _, report_text = ...
local given = assert(json.decode(text))
local columns = given.columns
local ui = report_text(columns, given.colour)
local status = ui.clean(given.status)
local health = status.health
local put, put_wrapped, paint, clip, pad = ui.put, ui.put_wrapped, ui.paint, ui.clip, ui.pad
local known, plural, span = ui.known, ui.plural, ui.span
local count_of, duration = ui.count_of, ui.duration
local now_s = ui.seconds_of(given.now)

local function ago(time)
  return known(time) and span(now_s - ui.seconds_of(time)) .. " ago" or "-"
end

local function title(shown)
  put("")
  ui.title(shown)
end

-- Sections ----------------------------------------------------------------------------------------

local todo = {}

local function advise(format, ...)
  local item = format:format(...)
  if not todo[item] then
    todo[#todo + 1], todo[item] = item, true
  end
end

local function put_head()
  local word = status.ready and (health.status == "healthy" and "READY" or "READY, degraded")
    or "NOT READY"
  put("%s  %s %s", paint(health.status, word), health.service, health.program_version)
  put("%s", (clip(("up %s since %s, port %d, pid %d, %s"):format(span(status.process.uptime_s),
    status.process.started:sub(1, 19) .. "Z", status.port, status.process.pid,
    status.process.instance), columns)))
end

local function put_dependencies()
  title(pad("DEPENDENCY", 11) .. pad("STATUS", 11) .. pad("SINCE", 15) .. "REASON")
  for _, name in ipairs({ "database", "redis", "kafka" }) do
    local one = health.dependencies[name]
    if one then
      local reason = known(one.reason) and one.reason or ""
      local room = columns == 0 and #reason or math.max(columns - 37, 20)
      put("%s%s%s%s", pad(name, 11), paint(one.status, pad(one.status, 11)),
        pad(ago(one.since), 15), #reason <= room and reason or "")
      if #reason > room then
        put_wrapped("  ", reason)
      end
    end
  end
  if not health.dependencies.kafka then
    put("(not checked yet)")
  end
end

--- What Redis holds of processed events, once the process has counted it.
local function put_seen()
  local seen = status.seen_ids
  local bytes, ttl_s, skipped = seen.bytes[1], seen.ttl_s[1], seen.skipped[1]
  if bytes and ttl_s and seen.max_mb > 0 then
    put_wrapped("", ("ids of processed events in Redis: %.0f of %d MiB; new ones are %s%s"):format(
      bytes.value / 1048576, seen.max_mb,
      ttl_s.value > 0 and "kept for " .. span(ttl_s.value) or "not stored",
      skipped and (", %s were left out"):format(count_of(skipped.value)) or ""))
  end
end

local function put_rates()
  local rates = known(status.rates) and status.rates
  title("RATES" .. (rates and (" of the last %d s"):format(rates.interval_s) or ""))
  if not rates then
    put("(none yet: the first are there five seconds after the start)")
    return
  end
  put_wrapped("", ("events %s/s, %s/s rejected; commits p99 %s"):format(
    count_of(rates.events_per_s), count_of(rates.rejected_per_s), duration(rates.commit_p99_s)))
  put_wrapped("", ("requests %s/s, %s/s failed (5xx); p50 %s, p99 %s; cache hits %s"):format(
    count_of(rates.requests_per_s), count_of(rates.errors_per_s), duration(rates.request_p50_s),
    duration(rates.request_p99_s),
    known(rates.cache_hits_percent) and ("%.0f %%"):format(rates.cache_hits_percent) or "-"))
end

--- The sums (or maxima) of a list of {topic, partition, value}, by topic; and the topics in order.
local function by_topic(cells, join)
  local found, topics = {}, {}
  for _, cell in ipairs(cells) do
    if not found[cell.topic] then
      topics[#topics + 1] = cell.topic
    end
    found[cell.topic] = found[cell.topic] and join(found[cell.topic], cell.value) or cell.value
  end
  table.sort(topics)
  return found, topics
end

local function add(a, b)
  return a + b
end

--- What waits for the same is one line, since the first of it waits.
local function put_waiting(waiting, total)
  local groups, order = {}, {}
  for _, one in ipairs(waiting) do
    local cause = known(one.cause) and one.cause or "?"
    local why = ("%s: %s%s%s"):format(cause, known(one.reason) and one.reason or "-",
      known(one.tries) and (", try %d"):format(one.tries) or "",
      known(one.next_try) and ", next try " .. one.next_try:sub(1, 19) .. "Z" or "")
    local group = groups[why]
    if not group then
      group = { why = why, since = one.since }
      order[#order + 1], groups[why] = group, group
    end
    if known(one.since) and known(group.since) and one.since < group.since then
      group.since = one.since
    end
    group[#group + 1] = one.topic ..
      (known(one.partition) and (" [%d]"):format(one.partition) or "")
    advise("ingestion waits (%s): correct the cause; `aggregator resume` tries it at once", cause)
  end
  for _, group in ipairs(order) do
    put_wrapped("", ("waits: %s; %s, since %s"):format(table.concat(group, ", "), group.why,
      ago(group.since)), "degraded")
  end
  if known(total) and total > #waiting then
    put_wrapped("", ("waits: %s more; the log names each"):format(plural(total - #waiting,
      "partition or topic")), "degraded")
  end
end

local shown_topics = 20

--- The topics that are furthest behind first, then those with records that wait, then by name.
local function sort_topics(topics, records, seconds)
  table.sort(topics, function(a, b)
    local behind_a, behind_b = seconds[a] or 0, seconds[b] or 0
    if behind_a ~= behind_b then
      return behind_a > behind_b
    end
    if records[a] ~= records[b] then
      return records[a] > records[b]
    end
    return a < b
  end)
end

local function put_topics()
  local records, topics = by_topic(status.lag.records, add)
  local seconds = by_topic(status.lag.seconds, math.max)
  local partitions = by_topic(status.lag.partitions or {}, add)
  local total, behind_s = 0, 0
  for _, topic in ipairs(topics) do
    total = total + records[topic]
    behind_s = math.max(behind_s, seconds[topic] or 0)
  end
  local kafka = health.dependencies.kafka or {}
  if kafka.workers == 0 then
    title("INGESTION  off: this process only answers requests (ingest.workers is 0)")
    return
  end
  title(("INGESTION  %s behind%s; %d of %s with partitions"):format(plural(total, "record"),
    behind_s > 0 and ", " .. span(behind_s) or "", kafka.assigned or 0,
    plural(kafka.workers or 0, "worker")))
  local width = columns == 0 and 48 or math.min(math.max(columns - 32, 16), 60)
  put("%s%10s%11s%11s", pad("topic", width), "partitions", "lag", "behind")
  if #topics > shown_topics then
    sort_topics(topics, records, seconds)
  end
  for i = 1, math.min(#topics, shown_topics) do
    local topic = topics[i]
    put("%s%10d%11s%11s", pad(topic, width), partitions[topic] or 0, count_of(records[topic]),
      (seconds[topic] or 0) > 0 and span(seconds[topic]) or "-")
  end
  if #topics > shown_topics then
    put_wrapped("", ("and %s that are not further behind; --json has all"):format(
      plural(#topics - shown_topics, "topic")))
  end
  put_waiting(kafka.waiting or {}, kafka.waiting_total)
end

local function put_reads()
  if not known(status.reads) then
    return
  end
  title("READS      of GET routes, by replica")
  for _, one in ipairs(status.reads) do
    put("%s%s%s", pad(one.server, 30), paint(one.state == "used" and "healthy" or "degraded",
        pad(one.state, 10)), known(one.behind_bytes) and one.behind_bytes > 0 and
      ("%s bytes behind"):format(count_of(one.behind_bytes)) or "")
    if known(one.error) then
      put_wrapped("  ", one.error)
    end
  end
end

local function put_instances()
  for _, one in ipairs(status.instances) do
    put("%s%s  generation %d, %s%s", one.this and "* " or "  ", pad(one.instance, 30),
      one.generation, one.hash:sub(1, 12), one.gone and "  gone" or "")
  end
end

local function put_scripts()
  local running = health.scripts
  for _, one in ipairs(status.generations) do
    running = one.running and one or running
  end
  title(("SCRIPTS  generation %d, %s, since %s (%s)"):format(running.generation,
    running.hash:sub(1, 12), known(running.since) and running.since:sub(1, 19) .. "Z" or "-",
    ago(running.since)))
  for _, call in ipairs(health.scripts.stuck or {}) do
    put_wrapped("", "hangs: " .. json.encode(call), "unhealthy")
    advise("a script hangs: the docs, operate/recover.md, a script that hangs")
  end
  local compiler = status.process and status.process.compiler
  if compiler and compiler.states > 0 then
    put("compiled in %s: %s, %d KiB of code", plural(compiler.states, "state"),
      plural(compiler.traces, "trace"), compiler.code_bytes / 1024)
    local given_up = compiler.given_up or {} -- of an older process
    for i = 1, math.min(#given_up, 8) do
      put("not compiled: %s, in %s", given_up[i].place, plural(given_up[i].states, "state"))
    end
  end
  if known(status.instances) and #status.instances > 1 then
    put_instances()
  end
  local handled_by = known(status.partitions_handled_by) and status.partitions_handled_by or {}
  for _, one in ipairs(handled_by) do
    if one.hash ~= health.scripts.hash then
      put("%s last handled by other scripts, %s", plural(one.partitions, "partition"),
        one.hash:sub(1, 12))
    end
  end
  if status.scripts_agree == false then
    put("%s", paint("degraded", "the processes run different scripts"))
    advise("the processes run different scripts: `aggregator reload` where the old ones run")
  end
end

local function age(seconds)
  return seconds > 0 and ", the oldest for " .. span(seconds) or ""
end

local function put_outbox()
  local outbox = status.outbox
  put("")
  if not known(outbox) then
    ui.title("OUTBOX  another process sends: outbox.enabled or ingest.workers")
    return
  end
  ui.title(("OUTBOX  %s pending%s, %d in flight, %d refused; %s"):format(
    plural(outbox.pending, "message"), age(outbox.oldest_pending_s), outbox.in_flight,
    outbox.failed, outbox.publishes and "this process sends" or "another process sends, or none"))
  if known(outbox.error) then
    put_wrapped("", outbox.error, "unhealthy")
  end
  if outbox.failed > 0 then
    advise("Kafka refused messages: `aggregator outbox list --state failed`")
  end
end

local function put_reactions()
  local reactions = status.reactions
  if not known(reactions) then
    ui.title("REACTIONS  run in other processes: ingest.workers is 0")
    return
  end
  ui.title(("REACTIONS  %s waiting%s, %s since the start"):format(plural(reactions.marks, "key"),
    age(reactions.oldest_mark_s), plural(reactions.failures, "failure")))
  if known(reactions.last_failure) then
    put_wrapped("", reactions.last_failure, "unhealthy")
  end
end

local function put_retention()
  for _, of in ipairs(status.retention or {}) do
    put("")
    ui.title(not known(of.horizon) and ("RETENTION  no row of %s has left yet"):format(of.table)
      or ("RETENTION  %s older than %s have left%s"):format(of.table, of.horizon:sub(1, 10),
        known(of.swept_at) and "" or ", some are still being removed"))
  end
end

local function put_rejected()
  local cells, total = {}, 0
  for i, cell in ipairs(status.rejected_events) do
    cells[i] = cell
    total = total + cell.value
  end
  ui.title(("REJECTED  %s since the start"):format(plural(total, "event")))
  table.sort(cells, function(a, b)
    return a.value > b.value or (a.value == b.value and a.error_type < b.error_type)
  end)
  for i = 1, math.min(#cells, 5) do
    put("%s", (clip(("%8d  %s, %s"):format(cells[i].value, cells[i].error_type, cells[i].topic),
      columns)))
  end
  if total > 0 then
    advise("events were rejected: `aggregator rejected list`; when the cause is gone, "
      .. "`aggregator rejected retry`")
  end
end

local not_shown = { time = true, level = true, message = true, correlation_id = true,
  trace_id = true, count = true }

local function put_problem(line)
  local fields = {}
  for name, value in pairs(line) do
    if not not_shown[name] then
      fields[#fields + 1] = ("%s=%s"):format(name, tostring(value))
    end
  end
  table.sort(fields)
  local shown = ("%s  %s%s  %s"):format(line.time:sub(1, 19) .. "Z", line.message,
    line.count > 1 and (" (%d times)"):format(line.count) or "", table.concat(fields, "  "))
  put("%s", paint(line.level, (clip((shown:gsub("%s*\n%s*", "; ")), columns))))
end

local function put_problems()
  if #status.recent_problems > 0 then
    title("LAST WARNINGS AND ERRORS")
  end
  for i = 1, math.min(#status.recent_problems, 6) do
    put_problem(status.recent_problems[i])
  end
end

local function put_list(name, items, kind)
  if #items > 0 then
    title(name)
  end
  for _, item in ipairs(items) do
    put_wrapped("", item, kind)
  end
end

local function put_certificates()
  for i, one in ipairs(status.certificates) do
    if i == 1 then
      title("CERTIFICATES")
    end
    put_wrapped("", ("%s: %s, until %s (%s)"):format(one.listener, one.names,
      one.not_after:sub(1, 10), plural(one.days_left, "day")),
      one.days_left < 21 and "warning" or nil)
  end
end

local function put_advice()
  for _, name in ipairs({ "database", "redis", "kafka" }) do
    local one = health.dependencies[name]
    if one and known(one.reason) then
      advise("%s: the docs, operate/reasons.md", name)
    end
  end
  put_list("WARNINGS", status.warnings, "warning")
  put_list("WHAT TO DO", todo)
end

put_head()
put_dependencies()
put_seen()
put_rates()
put_topics()
put_reads()
put_scripts()
put_outbox()
put_reactions()
put_retention()
put_rejected()
put_problems()
put_certificates()
put_advice()
return table.concat(ui.lines, "\n") .. "\n"
