--- Keeps what the scripts of a tried state ask of other systems. Embedded; runs with the sandbox's
--- globals.
---
--- Arguments: the module json; now_us(); the bindings by name; whether nothing is produced, so that
--- kafka only keeps records.
---@return table<string, table> bindings that keep each call, of the functions that ask another system
---@return fun(as_json: boolean): string, string? report of the calls since the last report; the
--- first failure for want of a system
local json, now_us, bindings, keeps_records = ...

-- of Postgres: the statement writes in a read-only transaction
local READ_ONLY = "25006"
local WRITES = " (try opens the database read-only: --stubs FILE gives the query's rows)"

local calls = {}

--- The value as JSON; values without such a form (pg.bytes, bytes that are no UTF-8) as "…".
local function text_of(value)
  if value == nil then
    return "null"
  end
  local good, text = pcall(json.encode, value)
  return good and text or '"…"'
end

local function note_result(call, value, failure)
  if value == nil and type(failure) == "table" then
    local writes = failure.sqlstate == READ_ONLY
    call.failure = {
      kind = failure.kind,
      message = failure.message .. (writes and WRITES or ""),
    }
    call.is_unreached = failure.kind == "unavailable" and (failure.sqlstate or "") == ""
  elseif call.counts_rows then
    call.rows = type(value) == "number" and value or #value
  else
    call.result = text_of(value)
  end
end

--- Runs in the place of the binding's function: an error names the script's line.
local function keep(call, began_us, good, ...)
  call.took_us = now_us() - began_us
  if not good then
    local message = ...
    call.failure = { kind = "raised", message = tostring(message) }
    error(message, type(message) == "string" and 2 or 0)
  end
  if not call.is_block then
    note_result(call, ...)
  end
  return ...
end

--- The function, whose calls are kept as `describe` of their arguments.
local function kept(name, run, describe)
  return function(...)
    local call = describe(...)
    call.name = name
    calls[#calls + 1] = call
    return keep(call, now_us(), pcall(run, ...))
  end
end

local function describe_query(query, params)
  return { about = tostring(query), arguments = params and text_of(params), counts_rows = true }
end

local function describe_arguments(...)
  return { arguments = text_of({ ... }) }
end

local function describe_first(first)
  return { arguments = text_of(first) }
end

local function describe_request(request)
  local is_table = type(request) == "table"
  return { about = is_table and ("%s %s"):format(request.method or "GET", tostring(request.url)) }
end

local function describe_block()
  return { is_block = true }
end

local wrap = {}

function wrap.pg(pg)
  local function transaction(run)
    return pg.transaction(function(tx)
      return run({
        query = kept("tx.query", tx.query, describe_query),
        rollback = kept("tx.rollback", tx.rollback, describe_block),
      })
    end)
  end
  return {
    query = kept("pg.query", pg.query, describe_query),
    each = kept("pg.each", pg.each, describe_query),
    transaction = kept("pg.transaction", transaction, describe_block),
  }
end

function wrap.redis(redis)
  return {
    call = kept("redis.call", redis.call, describe_arguments),
    pipeline = kept("redis.pipeline", redis.pipeline, describe_first),
  }
end

function wrap.http(http)
  return { request = kept("http.request", http.request, describe_request) }
end

--- Places such as a topic of one partition gives them, for records that are not sent.
local function keeper()
  local count = 0
  local function produce(record)
    assert(type(record) == "table" and type(record.topic) == "string",
      "kafka.produce: a record has a topic")
    count = count + 1
    return { partition = 0, offset = count - 1 }
  end
  local function produce_all(records)
    local places = {}
    for i, record in ipairs(records) do
      places[i] = produce(record)
    end
    return places
  end
  return { produce = produce, produce_all = produce_all }
end

function wrap.kafka(kafka)
  kafka = keeps_records and keeper() or kafka
  return {
    produce = kept("kafka.produce", kafka.produce, describe_first),
    produce_all = kept("kafka.produce_all", kafka.produce_all, describe_first),
  }
end

local wrapped = {}
for name, binding in pairs(bindings) do
  wrapped[name] = wrap[name](binding)
end

-- The report --------------------------------------------------------------------------------------

local function outcome_of(call)
  if call.failure then
    return ("%s: %s"):format(call.failure.kind, call.failure.message)
  elseif call.rows then
    return ("%d row%s"):format(call.rows, call.rows == 1 and "" or "s")
  end
  return call.result
end

--- One line: what was asked, the outcome, the time.
local function line_of(call)
  local parts = { "    " .. call.name, call.about or nil }
  for _, part in ipairs({ call.arguments or "", outcome_of(call) or "" }) do
    parts[#parts + 1] = part ~= "" and part or nil
  end
  return ("%s  %.1f ms\n"):format(table.concat(parts, "  "), call.took_us / 1000)
end

local function object_of(call)
  local function raw(text)
    return text and json.decode(text) or nil
  end
  return json.encode({
    call = call.name,
    about = call.about or nil,
    arguments = raw(call.arguments),
    rows = call.rows,
    result = raw(call.result),
    failure = call.failure,
    took_us = call.took_us,
  })
end

local function report(as_json)
  local texts, unavailable = {}, nil
  for i, call in ipairs(calls) do
    texts[i] = (as_json and object_of or line_of)(call)
    if call.is_unreached then
      unavailable = unavailable or call.failure.message
    end
  end
  calls = {}
  return table.concat(texts, as_json and "," or ""), unavailable
end

return wrapped, report
