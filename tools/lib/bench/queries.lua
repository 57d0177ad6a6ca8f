-- What wrk does for tools/bench: asks for the paths of a file in any order, looks at every answer,
-- and says in the end what it has seen, as JSON on the last line.
--
--     wrk … -s queries.lua URL -- PATHS API_KEY SERVICE_ID TAIL…
--
-- TAIL… are the ends that a good answer's body may have.
local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
end

function init(args)
  wrk.headers["X-Internal-API-Key"] = args[2]
  wrk.headers["X-Service-ID"] = args[3]
  requests, tails = {}, {}
  good, failed, mixed, example = 0, 0, 0, ""
  for path in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("GET", path)
  end
  for i = 4, #args do
    tails[args[i]] = true
    tail_len = #args[i]
  end
end

function request()
  return requests[math.random(#requests)]
end

function response(status, _, body)
  if status ~= 200 then
    failed = failed + 1
    example = status .. " " .. body:sub(1, 200)
  elseif not tails[body:sub(-tail_len)] then
    mixed = mixed + 1
    example = "an answer that ends with " .. body:sub(-2 * tail_len)
  else
    good = good + 1
  end
end

local function sum(name)
  local total = 0
  for _, thread in ipairs(threads) do
    total = total + thread:get(name)
  end
  return total
end

function done(summary, latency)
  local errors = summary.errors
  local example = ""
  for _, thread in ipairs(threads) do
    example = example ~= "" and example or thread:get("example")
  end
  local seen = {
    good = sum("good"),
    failed = sum("failed"),
    mixed = sum("mixed"),
    broken = errors.connect + errors.read + errors.write + errors.timeout,
    duration_us = summary.duration,
    p50_ms = latency:percentile(50) / 1000,
    p99_ms = latency:percentile(99) / 1000,
    p999_ms = latency:percentile(99.9) / 1000,
  }
  local items = { ('"example":"%s"'):format(example:gsub('[%c"\\]', "'")) }
  for name, value in pairs(seen) do
    items[#items + 1] = ('"%s":%s'):format(name, tostring(value))
  end
  io.write("{", table.concat(items, ","), "}\n")
end
