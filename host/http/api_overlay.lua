--- Lays the service's openapi.json over the document that the declarations give. Arguments: the
--- module json, the tools of api_document.lua.
local json, tools = ...
local is_list, sorted_keys, copy, merge = tools.is_list, tools.sorted_keys, tools.copy, tools.merge
local equal, follow, key_of = tools.equal, tools.follow, tools.key_of
-- The arguments of the function that this chunk returns.
local document, declared, open_query, refuse

local METHODS = {
  get = true, put = true, post = true, delete = true, options = true, head = true, patch = true,
  trace = true,
}
local WHOLE = {
  openapi = true, info = true, jsonSchemaDialect = true, servers = true, paths = true,
  webhooks = true, components = true, security = true, tags = true, externalDocs = true,
}

local function is_object(value, where)
  local good = type(value) == "table" and not is_list(value)
  if not good then
    refuse("%s is not an object", where)
  end
  return good
end

local function known_parameters(operation)
  local known = {}
  for _, parameter in ipairs(operation.parameters) do
    known[#known + 1] = ("%s (%s)"):format(parameter.name, parameter["in"])
  end
  return table.concat(known, ", ")
end

local function merge_parameter(operation, over, where)
  if type(over) == "table" and over["$ref"] then
    over = follow(declared.overlay, tostring(over["$ref"])) or follow(document, over["$ref"])
  end
  if type(over) ~= "table" or type(over.name) ~= "string" or type(over["in"]) ~= "string" then
    return refuse("%s: a parameter has no `name` and `in`", where)
  end
  for index, parameter in ipairs(operation.parameters) do
    if key_of(parameter) == key_of(over) then
      operation.parameters[index] = merge(parameter, over)
      return
    end
  end
  if open_query[operation] and over["in"] == "query" then
    operation.parameters[#operation.parameters + 1] = copy(over)
    return
  end
  refuse("%s: no parameter %s (%s) is declared; there are %s", where, over.name, over["in"],
    known_parameters(operation))
end

local function merge_parameters(operation, list, where)
  if list ~= nil and (type(list) ~= "table" or not is_list(list)) then
    return refuse("%s.parameters is not a list", where)
  end
  for _, over in ipairs(list or {}) do
    merge_parameter(operation, over, where)
  end
end

--- Described answers replace the general success.
local function merge_responses(operation, over, where)
  if not is_object(over, where .. ".responses") then
    return
  end
  local success = false
  for status in pairs(over) do
    success = success or status:match("^2%w%w$") ~= nil
    if not status:match("^[1-5]%d%d$") and not status:match("^[1-5]XX$")
      and status ~= "default" then
      refuse('%s.responses: "%s" is no status', where, status)
    end
  end
  if success and not over["200"] then
    operation.responses["200"] = nil
  end
  merge(operation.responses, over)
end

--- The routes declare these: the overlay may repeat them only.
local function check_declared(operation, over, where)
  for key, word in pairs({ operationId = "endpoint", security = "auth" }) do
    if over[key] ~= nil and not equal(over[key], operation[key] or document.security) then
      refuse("%s.%s differs from the route's: remove it here, and change `%s` of the route", where,
        key, word)
    end
  end
  if over.requestBody and not operation.requestBody then
    refuse("%s.requestBody: the route has no `body`", where)
  end
end

local function merge_operation(operation, over, where)
  check_declared(operation, over, where)
  merge_parameters(operation, over.parameters, where)
  if over.responses then
    merge_responses(operation, over.responses, where)
  end
  for key, value in pairs(over) do
    if key ~= "parameters" and key ~= "responses" and key ~= "operationId"
      and key ~= "security" then
      operation[key] = operation[key] == nil and copy(value) or merge(operation[key], value)
    end
  end
end

local function merge_path(path, over)
  local item, where = document.paths[path], "paths." .. path
  if not item then
    return refuse("%s: no route has this path", where)
  elseif not is_object(over, where) or over["$ref"] then
    return
  end
  for key, value in pairs(over) do
    local place = where .. "." .. key
    if METHODS[key] and not item[key] then
      refuse("%s: no route of this path has the method", place)
    elseif METHODS[key] and is_object(value, place) then
      merge_operation(item[key], value, place)
    elseif not METHODS[key] and key ~= "parameters" then
      item[key] = copy(value)
    end
  end
  for method, operation in pairs(item) do
    if METHODS[method] then
      merge_parameters(operation, over.parameters, where)
    end
  end
end

--- An alias is described as its route's path, if not otherwise.
local function spread_aliases(paths)
  for _, route in ipairs(declared.routes) do
    for index, path in ipairs(route.paths) do
      local main, own = paths[route.paths[1]], paths[path]
      local free = own == nil or (type(own) == "table" and own["$ref"])
      if index > 1 and type(main) == "table" and free then
        paths[path] = copy(main)
        for key, value in pairs(paths[path]) do
          if METHODS[key] and type(value) == "table" then
            value.operationId = nil -- it is the main path's
          end
        end
      end
    end
  end
end

local function check_references(node)
  if type(node) ~= "table" then
    return
  end
  local reference = node["$ref"]
  if type(reference) == "string" and reference:sub(1, 2) == "#/"
    and not follow(document, reference) then
    refuse('"$ref": "%s" points to nothing', reference)
  end
  for _, value in pairs(node) do
    check_references(value)
  end
end

local function apply_overlay()
  local over = declared.overlay
  for _, key in ipairs(sorted_keys(over)) do
    if not WHOLE[key] and key:sub(1, 2) ~= "x-" then
      refuse('"%s" is no key of an OpenAPI document', key)
    elseif key == "security" and not equal(over.security, document.security) then
      refuse("security differs from what the program demands: remove it here")
    elseif key == "openapi" and not tostring(over.openapi):match("^3%.1%.%d+$") then
      refuse("openapi: the document is of version 3.1")
    elseif key == "paths" and is_object(over.paths, "paths") then
      spread_aliases(over.paths)
      for _, path in ipairs(sorted_keys(over.paths)) do
        merge_path(path, over.paths[path])
      end
    elseif key ~= "paths" then
      document[key] = document[key] == nil and copy(over[key]) or merge(document[key], over[key])
    end
  end
end

local function read_overlay()
  if declared.overlay == json.null then
    return
  end
  local over, failure = json.decode(declared.overlay)
  if over == nil then
    refuse("%s", failure.message)
  elseif is_object(over, "the file") then
    declared.overlay = over
    apply_overlay()
    check_references(document)
  end
end

--- made: the document. declarations: `routes`, `overlay` (the text of the file, or null). open: the
--- set of operations that take any query. problem(format, …): takes what is wrong with the overlay.
return function(made, declarations, open, problem)
  document, declared, open_query, refuse = made, declarations, open, problem
  read_overlay()
end
