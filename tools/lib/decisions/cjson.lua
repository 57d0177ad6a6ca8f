-- cjson: what Debian's lua-cjson does where docs/DECISIONS.md says so. Prints a line each.
--
--     luajit tools/lib/decisions/cjson.lua          needs lua-cjson
--     ulimit -v 8000000; timeout 60 luajit tools/lib/decisions/cjson.lua hang
--
-- `hang` writes a text of more than 2 GiB, and takes as much memory before it stops coming forward.
local cjson = require("cjson")

local function show(what, value)
  print(what, tostring(value))
end

local function hang()
  local value = { ("x"):rep(260) }
  for _ = 1, 23 do
    value = { value, value }
  end
  show("bytes", #cjson.encode(value))
end

if arg[1] == "hang" then
  hang()
end
show("version", cjson._VERSION)
show("decode, encode []", cjson.encode(cjson.decode("[]")))
show("encode 0.1 + 0.2", cjson.encode(0.1 + 0.2))
show("encode 1764938400123456", cjson.encode(1764938400123456))
show("decode, encode 9007199254740993", cjson.encode(cjson.decode("9007199254740993")))
show("decode [01, 0x10, 1.]", cjson.encode(cjson.decode("[01, 0x10, 1.]")))
show("decode [NaN]", cjson.decode("[NaN]")[1])
show("encode of a byte that is not UTF-8 is decoded", pcall(cjson.decode, cjson.encode("\255")))
