std = "luajit"
max_line_length = 100
files["spec"] = { std = "+busted" }
files["config.lua"] = { read_globals = { "env", "env_or_file", "list" } }
