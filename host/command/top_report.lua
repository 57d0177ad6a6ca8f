--- A page of `aggregator top`. Arguments: the module json; an object with two samples of the
--- program (`before`, which may be null, and `now`), `columns` and `rows` of the terminal (0: no
--- limit), `view`, `sorts`, `paused`, `once` and `error`; a number; the helpers of report_text.lua.
local json, text, _, report_text = ...
local given = assert(json.decode(text))
local columns, rows = given.columns, given.rows
local ui = report_text(columns, given.colour)
local known, span, count_of, duration = ui.known, ui.span, ui.count_of, ui.duration
local put, pad, pad_left, clip, paint = ui.put, ui.pad, ui.pad_left, ui.clip, ui.paint
local now = known(given.now) and ui.clean(given.now) or nil
local before = known(given.before) and ui.clean(given.before) or nil
local width = columns == 0 and 100 or columns

-- Two samples ---------------------------------------------------------------------------------

--- A program that was restarted counts from 0 again.
if now and before and (before.process.pid ~= now.process.pid or before.at_us >= now.at_us) then
  before = nil
end
local elapsed_s = before and (now.at_us - before.at_us) / 1e6 or nil

--- Requests of users, not of probes and operators.
local own = { healthz = true, metrics = true, openapi = true, server = true }

local function is_users(cell)
  local endpoint = cell.endpoint
  return not own[endpoint] and not endpoint:find("^readyz") and not endpoint:find("^admin") and
    not endpoint:find("^console")
end

--- The sum of the cells' values that `filter` lets pass.
local function sum(sample, metric, filter)
  local total = 0
  for _, cell in ipairs(sample[metric]) do
    total = total + ((not filter or filter(cell)) and cell.value or 0)
  end
  return total
end

--- Of a counter, a second; nil: unknown.
local function rate(metric, filter)
  return before and math.max(sum(now, metric, filter) - sum(before, metric, filter), 0) / elapsed_s
end

local function shown_rate(value)
  return value and count_of(value) .. "/s" or "-"
end

--- The observations of each bucket between the samples, of the cells that `filter` lets pass.
local function buckets_of(metric, filter)
  local counts = {}
  local function add(sample, sign)
    for _, cell in ipairs(sample[metric]) do
      for i, count in ipairs((not filter or filter(cell)) and cell.buckets or {}) do
        counts[i] = (counts[i] or 0) + sign * count
      end
    end
  end
  add(now, 1)
  if before then
    add(before, -1)
  end
  return counts
end

--- As Prometheus' histogram_quantile; nil: there are no observations.
local function quantile(share, counts)
  local total, seen, from_s = 0, 0, 0
  for _, count in ipairs(counts) do
    total = total + count
  end
  for i, count in ipairs(counts) do
    local to_s = now.bounds_s[i]
    if count > 0 and seen + count >= share * total then
      return to_s and from_s + (to_s - from_s) * (share * total - seen) / count or from_s
    end
    seen, from_s = seen + count, to_s
  end
end

-- The head ------------------------------------------------------------------------------------

local function line(format, ...)
  put("%s", (clip(format:format(...), columns)))
end

local function put_head()
  local health = now.health
  local word = now.ready and (health.status == "healthy" and "READY" or "READY, degraded")
    or "NOT READY"
  put("%s %s", paint(health.status, word), (clip(("%s %s, up %s%s"):format(health.service,
    health.program_version, span(now.process.uptime_s), given.paused and ", PAUSED" or ""),
    width - #word - 1)))
end

local function put_ingestion()
  local behind_s = 0
  for _, cell in ipairs(now.ras_consumer_lag_seconds) do
    behind_s = math.max(behind_s, cell.value)
  end
  line("events    %s, rejected %s; lag %s%s; commits p99 %s",
    shown_rate(rate("ras_messages_processed_total")),
    shown_rate(rate("ras_rejected_messages_total")),
    count_of(sum(now, "ras_consumer_lag_messages")),
    behind_s > 0 and " (" .. span(behind_s) .. ")" or "",
    duration(quantile(0.99, buckets_of("ras_db_transaction_duration_seconds"))))
end

local function put_requests()
  local latencies = buckets_of("ras_api_request_duration_seconds", is_users)
  local hits, misses = rate("ras_cache_hits_total"), rate("ras_cache_misses_total")
  line("requests  %s, failed %s; p50 %s, p99 %s; cache %s; %s connections",
    shown_rate(rate("ras_api_requests_total", is_users)),
    shown_rate(rate("ras_api_requests_total", function(cell)
      return is_users(cell) and cell.status_code:find("^5") ~= nil
    end)), duration(quantile(0.5, latencies)), duration(quantile(0.99, latencies)),
    hits and hits + misses > 0 and ("%.0f %%"):format(100 * hits / (hits + misses)) or "-",
    count_of(sum(now, "ras_http_connections")))
end

local function put_process()
  local cpu = rate("process_cpu_seconds_total")
  line("states    %d of %d busy, %d wait; database %d of %d active; cpu %s, memory %s MB",
    sum(now, "ras_script_busy_states"), now.process.http_states,
    sum(now, "ras_script_waiting_requests"), sum(now, "ras_db_connections_active"),
    sum(now, "ras_db_connections"), cpu and ("%.0f %%"):format(cpu * 100) or "-",
    count_of(sum(now, "process_resident_memory_bytes") / 1e6))
  local outbox = known(now.outbox) and ("%d pending, %d refused%s"):format(now.outbox.pending,
    now.outbox.failed, now.outbox.publishes and "" or " (another process sends)")
  local reactions = known(now.reactions) and ("%d wait, %d failed"):format(now.reactions.marks,
    now.reactions.failures)
  line("outbox    %s; reactions %s", outbox or "off", reactions or "off")
end

local function put_dependencies()
  local shown, bare = {}, {}
  for i, name in ipairs({ "database", "redis", "kafka" }) do
    local one = now.health.dependencies[name] or { status = "unknown" }
    shown[i] = name .. " " .. paint(one.status, one.status)
    bare[i] = name .. " " .. one.status
  end
  local plain = table.concat(bare, "  ")
  put("%s", #plain <= width and table.concat(shown, "  ") or (clip(plain, columns)))
  for _, name in ipairs({ "database", "redis", "kafka" }) do
    local one = now.health.dependencies[name]
    if one and known(one.reason) then
      line("  %s: %s", name, one.reason)
    end
  end
end

-- Tables --------------------------------------------------------------------------------------

local sorted_by = "name"

--- columns_of: {name, key, show}; the first is the name. Prints at most `most` rows.
local function put_table(title, columns_of, items, most)
  local chosen = columns_of[given.sorts % #columns_of + 1]
  table.sort(items, function(a, b)
    if chosen ~= columns_of[1] and a[chosen[2]] ~= b[chosen[2]] then
      return (a[chosen[2]] or -1) > (b[chosen[2]] or -1)
    end
    return a.name < b.name
  end)
  sorted_by = chosen[1]
  local shown = math.max(math.min(#columns_of, math.floor((width - 16) / 10) + 1), 1)
  local name_width = width - 10 * (shown - 1)
  local function row(name, cell)
    local cells = { pad(name, name_width) }
    for i = 2, shown do
      cells[i] = pad_left(cell(columns_of[i]), 10)
    end
    return table.concat(cells)
  end
  put("%s", paint("bar", row(title, function(column) return column[1] end)))
  for i = 1, math.min(#items, most) do
    put("%s", row(items[i].name, function(column)
      local value = items[i][column[2]]
      return value and column[3](value) or "-"
    end))
  end
  if #items > most then
    line("  … and %d more", #items - most)
  end
end

--- Items by name from the cells of a metric: item[key] joins the values.
local function collect(items, sample, metric, name_of, key, join)
  for _, cell in ipairs(sample[metric]) do
    local name = name_of(cell)
    items[name] = items[name] or { name = name, partitions = 0 }
    items[name][key] = items[name][key] and join(items[name][key], cell.value) or cell.value
  end
end

local function add(a, b)
  return a + b
end

local function as_list(items)
  local list = {}
  for _, item in pairs(items) do
    list[#list + 1] = item
  end
  return list
end

local function put_topics(name_of, title, most)
  local items = {}
  collect(items, now, "ras_consumer_lag_messages", name_of, "lag", add)
  collect(items, now, "ras_consumer_lag_seconds", name_of, "behind", math.max)
  collect(items, now, "ras_consumer_committed_offset", name_of, "offset", add)
  if before then
    collect(items, before, "ras_consumer_committed_offset", name_of, "earlier", add)
  end
  for _, item in pairs(items) do
    item.rate = item.earlier and item.offset and
      math.max(item.offset - item.earlier, 0) / elapsed_s
  end
  put_table(title, { { "name" }, { "events/s", "rate", count_of }, { "lag", "lag", count_of },
    { "behind", "behind", span }, { "offset", "offset", count_of } }, as_list(items), most)
end

local function put_scripts(most)
  local items = {}
  local function script_of(cell)
    return cell.script
  end
  collect(items, now, "ras_script_duration_seconds", script_of, "calls", add)
  collect(items, now, "ras_script_errors_total", script_of, "errors", add)
  collect(items, now, "ras_script_memory_bytes", script_of, "memory", math.max)
  if before then
    collect(items, before, "ras_script_duration_seconds", script_of, "earlier", add)
  end
  for name, item in pairs(items) do
    local latencies = buckets_of("ras_script_duration_seconds", function(cell)
      return cell.script == name
    end)
    item.rate = item.earlier and item.calls and math.max(item.calls - item.earlier, 0) / elapsed_s
    item.p99 = quantile(0.99, latencies)
  end
  put_table("SCRIPT", { { "name" }, { "calls/s", "rate", count_of }, { "p99", "p99", duration },
    { "errors", "errors", count_of },
    { "memory", "memory", function(bytes) return ("%.0f kB"):format(bytes / 1e3) end } },
    as_list(items), most)
end

local function put_problems(most)
  put("%s", paint("bar", pad("LAST WARNINGS AND ERRORS", width)))
  for i = 1, math.min(#now.recent_problems, most) do
    local one = now.recent_problems[i]
    local why = one.error or one.reason or one.detail or ""
    put("%s", paint(one.level, (clip(("%s %s%s %s"):format(one.time:sub(12, 19), one.message,
      one.count > 1 and (" (%d times)"):format(one.count) or "", tostring(why)):gsub("\n", "; "),
      columns))))
  end
end

-- The page ------------------------------------------------------------------------------------

local function topic_of(cell)
  return cell.topic
end

local function partition_of(cell)
  return ("%s [%s]"):format(cell.topic, cell.partition)
end

local function put_view(room)
  if given.view == 2 then
    put_topics(partition_of, "PARTITION", room - 2)
  elseif given.view == 3 then
    put_scripts(room - 2)
  elseif given.view == 4 then
    put_problems(room - 1)
  else
    local problems = math.min(#now.recent_problems, 3)
    local tables = room - problems - 5
    put_topics(topic_of, "TOPIC", math.ceil(tables / 2))
    put_scripts(math.floor(tables / 2))
    put_problems(problems)
  end
end

if now then
  put_head()
  put_ingestion()
  put_requests()
  put_process()
  put_dependencies()
  put_view(math.max((rows == 0 and 200 or rows) - #ui.lines - 1, 8))
else
  put("%s", paint("unhealthy", (clip("aggregator top: " .. given.error, columns))))
  put("It asks again each second.")
end
if not given.once then
  while #ui.lines > math.max(rows - 1, 1) do
    table.remove(ui.lines)
  end
  put("%s", paint("title", (clip(("q quit  p pause  s sort (%s)  1 overview  2 partitions  "
    .. "3 scripts  4 problems"):format(sorted_by), columns))))
end
return table.concat(ui.lines, "\n") .. (given.once and "\n" or "")
