local cases = require("lib.cases")
local log = require("log")

return cases("log", {
  fields = function()
    log.info("mess\nage\0 é", {
      text = "a\0\"b", whole = 1764938400123456, part = 0.5, yes = true, none = 0 / 0,
    })
  end,
  long = function()
    log.error(("é"):rep(100000), { field = ("é"):rep(100000), bytes = ("\255"):rep(100000) })
  end,
})
