--- Checks literal names in scripts against the declarations, without running them. It recognizes
--- plain forms, and reports nothing about others: of `handle` it checks only what is reached
--- through its parameters, and skips names that the script redefines. Libraries are checked at run
--- time.
---
--- Arguments: the module json; what is declared, as JSON (literals.c); problem(path, line, text);
--- hint(word, names): "did you mean …"; instead(name): the sandbox's replacement, or nil;
--- read(reaction, column, line): a column that it reads; the functions of literals_tokens.lua.
local json, text, problem, hint, instead, read, lib = ...
local declared = assert(json.decode(text))
local MERGE = "merge(key, group, columns)"
local set_of, read_tokens, is_name = lib.set_of, lib.read_tokens, lib.is_name
local is_word, matches, is_free_name = lib.is_word, lib.matches, lib.is_free_name
local find_function, binds_name, each_use = lib.find_function, lib.binds_name, lib.each_use
local read_items, is_table, is_string = lib.read_items, lib.is_table, lib.is_string
local find_target, skip_block = lib.find_target, lib.skip_block

-- One script ------------------------------------------------------------------------------------

local script = {}
script.__index = script

function script:problem(at, format, ...)
  problem(self.path, self.tokens[at].line, format:format(...))
end

--- "OWNER has no WHAT "WORD": did you mean …?"
function script:refuse(at, owner, what, word, names)
  word = word:sub(1, 79)
  self:problem(at, "%s has no %s \"%s\": %s", owner, what, word, hint(word, names))
end

--- The word of the token at `at` is among the names, or refused.
function script:check_name(at, owner, what, names)
  if not set_of(names)[self.tokens[at].text] then
    self:refuse(at, owner, what, self.tokens[at].text, names)
  end
end

--- Calls of removed library functions: reading one only gives nil.
function script:check_libraries()
  for at = 1, #self.tokens - 1 do
    if self.tokens[at + 1].mark == "." and matches(self.tokens, at, "%n . %n (") and
        is_free_name(self.tokens, at, self.tokens[at].text) then
      local name = self.tokens[at].text .. "." .. self.tokens[at + 2].text
      local replacement = instead(name)
      if replacement then
        self:problem(at, "%s is not available to scripts: %s", name, replacement)
      end
    end
  end
end

--- Whether the script calls nothing of the module but `name`, if one is given.
function script:uses_only(required, name)
  local tokens, at = self.tokens, required.at
  local module = name and at > 3 and matches(tokens, at - 3, "local %n =") and tokens[at - 2].text
  for i = at, module and #tokens or 0 do
    if is_free_name(tokens, i, module) and not matches(tokens, i + 1, ". " .. name) then
      return false
    end
  end
  return module
end

--- `but`: the function of the module that is allowed.
function script:check_not_required(module, why, but)
  for _, required in ipairs(self.required) do
    if required.module == module and not self:uses_only(required, but) then
      self:problem(required.at, "%s: %s", module, why)
    end
  end
end

--- `event.FIELD`; assigning to one raises at run time.
function script:check_event(body, handler)
  local hidden, fields = {}, {}
  for _, list in ipairs({ handler.roles, handler.fields }) do
    for _, field in ipairs(list) do
      hidden[field.name] = field.check_only
      fields[#fields + 1] = not field.check_only and field.name or nil
    end
  end
  each_use(self.tokens, body, 1, function(at)
    if not matches(self.tokens, at + 1, ". %n") or matches(self.tokens, at + 3, "=") then
      return
    end
    local field = self.tokens[at + 2].text
    if hidden[field] then
      self:problem(at + 2, "event: field \"%s\" is check_only: handlers cannot read it", field)
    else
      self:check_name(at + 2, "event", "field", fields)
    end
  end)
end

local function names_of(items)
  local names = {}
  for i, item in ipairs(items) do
    names[i] = item.name
  end
  return names
end

local function find_named(items, name)
  for _, item in ipairs(items) do
    if item.name == name then
      return item
    end
  end
end

--- A merge whose opening bracket is at `at`.
function script:check_merge(at, of)
  local arguments = read_items(self.tokens, at)
  local key, group, columns = arguments[1], arguments[2], arguments[3]
  if #arguments == 2 and is_string(self.tokens, key) and is_table(self.tokens, group) then
    self:problem(at, "%s:merge lacks an argument: use view.%s:%s", of.name, of.name, MERGE)
    return
  elseif not group or not is_string(self.tokens, group) then
    return
  end
  local found = find_named(of.groups, self.tokens[group.first].text)
  if not found then
    self:check_name(group.first, "table " .. of.name, "group", names_of(of.groups))
  elseif columns and is_table(self.tokens, columns) then
    local names = names_of(found.columns)
    local known = set_of(names)
    for _, column in ipairs(read_items(self.tokens, columns.first)) do
      if column.key and not known[column.key] then
        self:refuse(column.first, ("group %s.%s"):format(of.name, found.name), "column",
          column.key, names)
      end
    end
  end
end

--- `view.TABLE` at `at`.
function script:check_table(at)
  local of = find_named(declared.view, self.tokens[at + 2].text)
  if not of then
    self:check_name(at + 2, "view", "table", names_of(declared.view))
  elseif matches(self.tokens, at + 3, ". merge (") then
    self:problem(at + 2, "%s.merge is called with a dot: use view.%s:%s", of.name, of.name, MERGE)
  elseif matches(self.tokens, at + 3, ": merge (") then
    self:check_merge(at + 5, of)
  elseif matches(self.tokens, at + 3, ": %n") then
    self:check_name(at + 4, of.name, "method", { "merge" })
  end
end

function script:check_view(body)
  local usage = { touch = "touch(id)", publish = "publish(message)" }
  each_use(self.tokens, body, 2, function(at)
    local name = self.tokens[at + 2] and self.tokens[at + 2].text
    if matches(self.tokens, at + 1, ". %n (") and usage[name] then
      self:problem(at, "view.%s is called with a dot: use view:%s", name, usage[name])
    elseif matches(self.tokens, at + 1, ". %n") and not matches(self.tokens, at + 3, "=") then
      self:check_table(at)
    elseif matches(self.tokens, at + 1, ": %n") then
      self:check_name(at + 2, "view", "method", { "touch", "publish" })
    end
  end)
end

--- Whether the body declares the name before `stop`.
local function is_local(tokens, body, name, stop)
  for at = body.first, stop do
    if not is_free_name(tokens, at, name) and binds_name(tokens, at, name) then
      return true
    end
  end
  return false
end

local goes_on = set_of({ ".", ":", "(", "[", "{", "?" })

--- Refuses the parameter in what is assigned to the target at `root`, if that outlives the call.
function script:check_target(body, index, at, root)
  local tokens = self.tokens
  local name = root and is_name(tokens[root]) and tokens[root].text
  if name and not is_word(tokens[root - 1], "local") and not is_local(tokens, body, name, root) then
    self:problem(at, "`%s` is kept in `%s` after the call: it belongs to one event; pass it as an "
      .. "argument, or keep what was read of it", body.params[index], name:sub(1, 60))
  end
end

--- A function that uses the parameter, as a value or with a name.
function script:check_kept_functions(body, index, uses)
  local tokens, next_use = self.tokens, 1
  for at = body.first, body.last do
    while uses[next_use] and uses[next_use] < at do
      next_use = next_use + 1
    end
    if is_word(tokens[at], "function") and uses[next_use]
      and uses[next_use] < skip_block(tokens, at + 1) then
      if tokens[at + 1].mark == "(" then
        self:check_target(body, index, at, find_target(tokens, body, at))
      elseif not is_word(tokens[at - 1], "local") then
        self:check_target(body, index, at, at + 1)
      end
    end
  end
end

--- `event` or `view` in a variable, table or function that outlives the call: it would be that of
--- another event then.
function script:check_kept(body, index)
  local tokens, uses = self.tokens, {}
  each_use(tokens, body, index, function(at)
    if matches(tokens, at + 1, "=") then
      return -- the name of a field
    end
    -- a table of the view is kept as the view is; a field of the event is a value
    local last = index == 2 and matches(tokens, at + 1, ". %n") and at + 2 or at
    uses[#uses + 1] = at
    if not goes_on[tokens[last + 1].mark] then
      self:check_target(body, index, at, find_target(tokens, body, at))
    end
  end)
  self:check_kept_functions(body, index, uses)
end

--- `request.PART.NAME` at `at`, where the route declares the part's fields.
function script:check_part(at, route)
  local part = self.tokens[at + 2].text
  local fields = (part == "query" or part == "headers" or part == "body") and route[part]
  if not fields or not matches(self.tokens, at + 3, ". %n") then
    return
  end
  if fields == json.null then
    if part == "headers" or (part == "body" and not route.has_body) then
      self:problem(at + 2, "the route declares no `%s`: add it to the declaration", part)
    end
    return
  end
  local readable, hidden = {}, {}
  for _, field in ipairs(fields) do
    hidden[field.name] = field.check_only
    readable[#readable + 1] = not field.check_only and field.name or nil
  end
  if not hidden[self.tokens[at + 4].text] then
    self:check_name(at + 4, "request." .. part, "field", readable)
  end
end

function script:check_request(body, route)
  local parts = {
    "params", "query", "headers", "body", "method", "correlation_id", "traceparent",
  }
  each_use(self.tokens, body, 1, function(at)
    if not matches(self.tokens, at + 1, ". %n") then
      return
    end
    if self.tokens[at + 2].text == "query" and route.cache_key ~= json.null
      and route.query == json.null then
      self:problem(at + 2, "a cached route has the parts of request.query that it declares: declare "
        .. "`query`, and name its fields in `cache.vary.query`, or remove `cache`")
    else
      self:check_name(at + 2, "request", "field", parts)
      self:check_part(at, route)
    end
    if matches(self.tokens, at + 2, "params . %n") then
      self:check_name(at + 4, "request.params", "name", route.params)
    end
  end)
end

--- `row.NAME` of a reaction: the columns of its query are known to the database.
function script:note_row(body, reaction)
  each_use(self.tokens, body, 1, function(at)
    if matches(self.tokens, at + 1, ". %n") then
      read(reaction, self.tokens[at + 2].text, self.tokens[at + 2].line)
    end
  end)
end

-- Queries ---------------------------------------------------------------------------------------

--- Whether the table has a value for the name; `name = nil` gives none.
local function gives(tokens, items, name)
  for _, item in ipairs(items) do
    if item.key == name then
      return item.stop ~= item.first + 1 or not is_word(tokens[item.first], "nil")
    end
  end
  return false
end

function script:compare_params(at, query, items)
  local known, plain = set_of(query.params), true
  for _, item in ipairs(items) do
    plain = plain and item.key ~= nil
    if item.key and not known[item.key] then
      self:refuse(item.first, "query " .. query.name:sub(1, 70), "parameter", item.key,
        query.params)
    end
  end
  for _, name in ipairs(query.params) do
    -- Only if all keys are literals a missing one is an error.
    if plain and not gives(self.tokens, items, name) then
      self:problem(at, "query %s: parameter \"%s\" is not given: give it a value, or json.null "
        .. "for NULL", query.name, name)
    end
  end
end

--- A call of `query` or `each` whose opening bracket is at `at`.
function script:check_query(at)
  local arguments = read_items(self.tokens, at)
  local name, params = arguments[1], arguments[2]
  if not name or not is_string(self.tokens, name) then
    return
  end
  local query = find_named(declared.queries, self.tokens[name.first].text)
  if not query then
    self:check_name(name.first, "sql/queries", "query", names_of(declared.queries))
  elseif query.params ~= json.null and (not params or is_table(self.tokens, params)) then
    self:compare_params(name.first, query, params and read_items(self.tokens, params.first) or {})
  end
end

function script:check_query_calls(first, last, owner)
  for at = first, last do
    if is_free_name(self.tokens, at, owner) and (matches(self.tokens, at + 1, ". query (")
        or matches(self.tokens, at + 1, ". each (")) then
      self:check_query(at + 3)
    end
  end
end

--- Follows the local name of the module pg, and the parameter of its transactions.
function script:check_queries()
  local tokens = self.tokens
  for _, required in ipairs(self.required) do
    if required.module == "pg" and required.at > 3 and
        matches(tokens, required.at - 3, "local %n =") then
      self:check_query_calls(required.at, #tokens - 1, tokens[required.at - 2].text)
    end
  end
  for at = 1, #tokens do
    if tokens[at].text == "transaction" and matches(tokens, at, "transaction ( function (") then
      local body = find_function(tokens, at, "transaction")
      if body and body.params[1] then
        self:check_query_calls(body.first, body.last, body.params[1])
      end
    end
  end
end

-- All scripts -----------------------------------------------------------------------------------

--- The modules that a script requires by a literal name, and where.
local function find_required(tokens)
  local found = {}
  for at = 1, #tokens do
    if is_word(tokens[at], "require") then
      local name = matches(tokens, at, "require ( %s") and at + 2 or at + 1
      if tokens[name].quoted then
        found[#found + 1] = { at = at, module = tokens[name].text }
      end
    end
  end
  return found
end

local function check(file)
  local tokens = read_tokens(file.text)
  local one = setmetatable(
    { path = file.path, tokens = tokens, required = find_required(tokens) }, script)
  local handler = find_named(declared.handlers, file.name)
  local route = find_named(declared.routes, file.name)
  local body = find_function(one.tokens, 1, "handle")
  one:check_libraries()
  one:check_queries()
  if handler then
    one:check_not_required("kafka", declared.produce_in_handler)
  elseif file.name:find("^reactions/") then
    -- Specs give reactions doubles of these modules, so only the source shows their use.
    one:check_not_required("kafka", declared.produce_in_reaction)
    local why = "a reaction depends on its row alone: let its query return what it needs"
    for _, module in ipairs({ "pg", "redis", "http" }) do
      one:check_not_required(module, why)
    end
    one:check_not_required("clock", why, "rfc3339")
    local publish = find_function(one.tokens, 1, "publish")
    if publish then
      one:note_row(publish, file.name)
    end
  end
  if body and handler and handler.good then
    one:check_event(body, handler)
  end
  if body and handler then
    one:check_kept(body, 1)
    one:check_kept(body, 2)
  end
  if body and handler and declared.view ~= json.null then
    one:check_view(body)
  end
  if body and route then
    one:check_request(body, route)
  end
end

for _, file in ipairs(declared.files) do
  check(file)
end
