--- The files that `aggregator new` writes. Arguments: the module json, and the request's text:
--- `kind`, `name`, `topic`, `path`, `table`, the folders `root` and `sql`, a new UUID, the
--- templates `script`, `spec`, `query` and `failures`, and what the present scripts declare. Returns the path
--- and the text of each file, each followed by a NUL.
local json, text = ...
local request = assert(json.decode(text))

local MAX_PARAMS, MAX_COLUMNS = 16, 100
local KEYWORDS = " and break do else elseif end false for function if in local nil not or repeat "
  .. "return then true until while "

local files = {}

--- Adds a file: `@word@` in the template is replaced.
local function add(path, template, words)
  files[#files + 1] = path .. "\0" .. template:gsub("@(%w+)@", words) .. "\0"
end

--- Adds the script and its spec.
local function add_script(folder, words)
  words.name = request.name
  add(("%s/%s/%s.lua"):format(request.root, folder, request.name), request.script, words)
  add(("spec/unit/%s/%s_spec.lua"):format(folder, request.name), request.spec, words)
end

--- The library that routes turn failures into responses by, unless the service has it.
local function add_failures()
  if request.failures ~= json.null then
    add(request.root .. "/lib/failures.lua", request.failures, {})
  end
end

local function add_query(words)
  add(("%s/queries/%s.sql"):format(request.sql, request.name), request.query, words)
end

-- A handler, and an event for it ----------------------------------------------------------------

local values = {
  string = '"text"', integer = "1", bigint = "1", number = "1", boolean = "true", json = "{}",
  object = "{}", strings = "[]", list = "[]", uuid = '"7d0f7f0e-5f0c-4c0e-9a57-2f6a6f1f4a11"',
  timestamp = '"2026-01-31T08:00:00.000000Z"', date = '"2026-01-31"',
}

local function value_of(field)
  return field.wire ~= json.null and json.encode(field.wire) or values[field.type]
end

--- Whether one of the first fields lies at the path or inside it.
local function has_path(fields, count, path)
  for i = 1, count do
    if (fields[i].path .. "."):sub(1, #path + 1) == path .. "." then
      return true
    end
  end
  return false
end

--- The object of the fields whose paths begin with `prefix`, which is empty or ends with a dot.
local function object_of(fields, prefix, depth)
  local members, indent = {}, ("  "):rep(depth)
  for i, field in ipairs(fields) do
    local name = field.path:match("^[^.]*", #prefix + 1)
    if field.path:sub(1, #prefix) == prefix and not has_path(fields, i - 1, prefix .. name) then
      local whole = prefix .. name
      members[#members + 1] = ("\n%s  %s: %s"):format(indent, json.encode(name),
        whole == field.path and value_of(field) or object_of(fields, whole .. ".", depth + 1))
    end
  end
  return "{" .. table.concat(members, ",") .. "\n" .. indent .. "}"
end

local function add_handler()
  add_script("handlers", { topic = request.topic })
  local fields = request.envelope
  fields[#fields + 1] = { path = "data.entity_id", wire = "entity-1" }
  fields[#fields + 1] = { path = "data.status", wire = "open" }
  add(("spec/fixtures/events/%s.json"):format(request.name), object_of(fields, "", 0) .. "\n", {})
end

-- A route, and its query ------------------------------------------------------------------------

local function refuse_path()
  error(("--path is \"%s\": write /orders/{order_id}/notes, each {name} once, in lower-case "
    .. "letters, digits and _"):format(request.path), 0)
end

--- The names in the path, which Lua and SQL accept.
local function read_params(path)
  local params, known = {}, {}
  if not path:find("^/") or path:find("//", 1, true) then
    refuse_path()
  end
  for segment in path:gmatch("[^/]+") do
    local name = segment:match("^{([a-z_][a-z0-9_]*)}$")
    if name and not known[name] and not KEYWORDS:find(" " .. name .. " ", 1, true)
        and #params < MAX_PARAMS then
      known[name] = true
      params[#params + 1] = name
    elseif not segment:find("^[%w_.~-]+$") then
      refuse_path()
    end
  end
  return params
end

--- Each parameter by a format, in which % is its name.
local function each(params, format, between)
  local items = {}
  for i, name in ipairs(params) do
    items[i] = format:gsub("%%", name)
  end
  return table.concat(items, between)
end

--- A Lua table on one line, or on several if it exceeds MAX_COLUMNS after `used` columns.
local function table_of(params, format, used, indent)
  local items = each(params, format, ", ")
  if #params == 0 then
    return "{}"
  elseif #items + used <= MAX_COLUMNS then
    return "{ " .. items .. " }"
  end
  return ("{\n%s  %s,\n%s}"):format(indent, each(params, format, ",\n" .. indent .. "  "), indent)
end

local function add_route()
  local params = read_params(request.path)
  local words = {
    path = request.path,
    arguments = #params == 0 and "request.params" -- empty
      or table_of(params, "% = request.params.%", 40 + #request.name, "    "),
    tags = table_of(params, "request.params.%", 65, "      "),
    examples = table_of(params, '% = "% 1"', 20, ""),
    pairs = each(params, "'%', :%::text", ",\n         "),
    values = each(params, ":%::text", ",\n         "),
  }
  add_script("routes", words)
  add_query(words)
  add_failures()
end

--- The path of what a POST has made: the request's, and the id that the query returns.
local function location_of(path)
  local pieces = {}
  for plain, name in (path .. "/{}"):gmatch("([^{]*){([^}]*)}") do
    pieces[#pieces + 1] = ("%q"):format(plain)
    pieces[#pieces + 1] = ("url.encode(%s)"):format(
      name == "" and "rows[1].id" or "request.params." .. name)
  end
  local line = table.concat(pieces, " .. ")
  return #line <= MAX_COLUMNS - 40 and line or table.concat(pieces, "\n      .. ")
end

--- What a POST has beside other methods: 201 with a Location (RFC 9110, section 9.3.3).
local function words_of_post(path)
  return {
    requires = 'local url = require("url")\n',
    answer = "local location = " .. location_of(path) .. "\n    "
      .. "return { status = 201, body = rows[1].body, headers = { Location = location } }",
    id = ",\n       gen_random_uuid()::text AS id", about = ", `id` the name of what was made",
    given = ', id = "a/1"',
    located = '\n    assert.is_truthy(response.headers.Location:find("/a%2F1", 1, true))',
  }
end

local WORDS_OF_OTHERS = {
  requires = "", answer = "return { status = 200, body = rows[1].body }", id = "", about = "",
  given = "", located = "",
}

--- A route with a body, which has the field `text`.
local function add_write()
  local params = read_params(request.path)
  local given = { "text" }
  for _, name in ipairs(params) do
    if name == "text" then
      error("--path has {text}, the name of the body's field: choose another", 0)
    end
    given[#given + 1] = name
  end
  local words = {
    path = request.path,
    method = request.method,
    endpoint = request.method:lower() .. "_" .. request.name,
    status = request.method == "POST" and "201" or "200",
    arguments = table_of(given, "% = request.params.%", 40 + #request.name, "    ")
      :gsub("request%.params%.text", "request.body.text", 1),
    examples = table_of(params, '% = "% 1"', 20, ""),
    pairs = each(given, "'%', :%::text", ",\n         "),
  }
  local own = request.method == "POST" and words_of_post(request.path) or WORDS_OF_OTHERS
  for name, text_of in pairs(own) do
    words[name] = text_of
  end
  add_script("routes", words)
  add_query(words)
  add_failures()
end

-- A reaction, and its query ---------------------------------------------------------------------

--- The types of a followed key, as Postgres names them.
local FOLLOWED = { text = "text", id = "text", uuid = "uuid", integer = "integer", bigint = "bigint" }

--- The first item for which `is_good` holds.
local function find(items, is_good)
  for _, item in ipairs(items) do
    if is_good(item) then
      return item
    end
  end
end

local function add_reaction()
  local followed = find(request.view, function(of)
    return of.name == request.table
  end)
  local key = find(followed.key, function(column)
    return FOLLOWED[column.type]
  end)
  local group = find(followed.groups, function(of) -- its version has the time of the fact
    return of.rule == "first" or of.rule == "latest"
  end)
  local words = {
    topic = request.topic, table = followed.name, column = key.name, at = group.name .. "_at",
    namespace = request.uuid, cast = FOLLOWED[key.type],
  }
  add_script("reactions", words)
  add_query(words)
end

local kinds = {
  handler = add_handler, route = add_route, write = add_write, reaction = add_reaction,
}
kinds[request.kind]()
return table.concat(files)
