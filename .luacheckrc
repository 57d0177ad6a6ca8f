-- Inputs that are wrong on purpose.
exclude_files = { "spec/fixtures/cases" }
std = "luajit"
max_line_length = 100
files["spec"] = { std = "+busted" }
files["**/config/full.lua"] = { read_globals = { "env", "env_or_file", "list" } }
files["config.lua"] = { read_globals = { "env", "env_or_file", "list" } }
files["examples/*/spec"] = { std = "+busted" }
files["examples/*/config.lua"] = { read_globals = { "env", "env_or_file", "list" } }
files["docs/types"] = { max_line_length = false, unused = false, ignore = { "12", "13" } }
files["tools/lib/bench/web/redis_get.lua"] = { std = "ngx_lua" }
files["tools/lib/bench/web/wrk.lua"] = { globals = { "done" } }
