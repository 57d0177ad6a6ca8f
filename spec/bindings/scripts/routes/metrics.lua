local cases = require("lib.cases")
local metrics = require("metrics")

local counter = metrics.counter("spec_events_total", "Events of the spec.", { "kind", "good" })
local gauge = metrics.gauge("spec_level", "A level.")
local histogram = metrics.histogram("spec_seconds", "Times.", { "step" })

return cases("metrics", {
  use = function()
    counter:add(1, { kind = "a", good = true })
    counter:add(1.5, { good = true, kind = "a" })
    counter:add(1, { kind = "x\0\255\"\n" .. ("é"):rep(100), good = 1 })
    gauge:set(5)
    gauge:add(-2)
    histogram:observe(0.002, { step = "one" })
  end,
})
