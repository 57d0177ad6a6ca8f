---@meta metrics

--- Metrics on `/metrics`, beside the program's own.
---
--- A metric belongs to the scripts that declare it: it is on the page while they run. Scripts of a
--- later generation continue counting if name, type and labels are the same; other labels begin at 0.
--- Declare at the top of a file. Errors: a bad name, one of the program's own, or one that the same
--- scripts declare with another type, help or other labels.
---
--- Labels are given as a table with a string, number or boolean for each. Values are cut to
--- 128 bytes. A metric has at most 2,000 combinations, those beyond count as `other`: use no ids.
---
--- ```lua
--- local lookups = metrics.counter("ras_prompt_lookups_total", "Prompts asked for.", { "outcome" })
--- lookups:add(1, { outcome = response and "found" or "failed" })
--- ```
---@class metrics
local metrics = {}

--- Declares a counter.
---@param name string `[a-z_:][a-z0-9_:]*`
---@param help string one line
---@param labels? string[] at most 4 names
---@return metrics.Counter counter
function metrics.counter(name, help, labels) end

--- Declares a gauge.
---@param name string `[a-z_:][a-z0-9_:]*`
---@param help string one line
---@param labels? string[] at most 4 names
---@return metrics.Gauge gauge
function metrics.gauge(name, help, labels) end

--- Declares a histogram.
---@param name string `[a-z_:][a-z0-9_:]*`
---@param help string one line
---@param labels? string[] at most 4 names
---@return metrics.Histogram histogram
function metrics.histogram(name, help, labels) end

--- Only goes up.
---@class metrics.Counter
local Counter = {}

--- Adds to the counter.
---@param number number at least 0
---@param labels? table<string, string|number|boolean> a value for each label
function Counter:add(number, labels) end

--- Goes up and down.
---@class metrics.Gauge
local Gauge = {}

--- Adds to the gauge.
---@param number number of either sign
---@param labels? table<string, string|number|boolean> a value for each label
function Gauge:add(number, labels) end

--- Sets the gauge.
---@param number number
---@param labels? table<string, string|number|boolean> a value for each label
function Gauge:set(number, labels) end

--- Durations in seconds, in buckets from 0.1 ms to 10 s.
---@class metrics.Histogram
local Histogram = {}

--- Counts a duration.
---@param number number seconds
---@param labels? table<string, string|number|boolean> a value for each label
function Histogram:observe(number, labels) end

return metrics
