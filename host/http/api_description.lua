--- The OpenAPI 3.1 document of the API. Arguments: the module json, the declarations' text, 1 to
--- indent the document, the schemas of api_schemas.lua. Raises the problems of `overlay`, one a line.
local json, text, indented, schemas = ...
local declared = assert(json.decode(text))
local limits, names = declared.limits, declared.headers
local READS = { GET = true, HEAD = true }

local problems = {}
local function refuse(format, ...)
  problems[#problems + 1] = declared.overlay_path .. ": " .. format:format(...)
end

local function is_list(value)
  return getmetatable(value) ~= nil or #value > 0
end

local function sorted_keys(object)
  local keys = {}
  for key in pairs(object) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

--- As JSON, members in the order of their names. break_line: a line feed and the margin, which
--- goes before each member; "": all is one line. json.encode takes tables in scripts only.
local function encode(value, break_line)
  if type(value) ~= "table" then
    return json.encode(value)
  end
  local inner = break_line == "" and "" or break_line .. "  "
  local list, parts = is_list(value), {}
  for index, key in ipairs(list and value or sorted_keys(value)) do
    parts[index] = inner .. (list and encode(key, inner) or ("%s:%s%s"):format(json.encode(key),
      break_line == "" and "" or " ", encode(value[key], inner)))
  end
  local text_of_parts = table.concat(parts, ",") .. (#parts > 0 and break_line or "")
  return list and "[" .. text_of_parts .. "]" or "{" .. text_of_parts .. "}"
end

--- A copy, so that two places of the document never share a table that one of them changes.
local function copy(value)
  if type(value) ~= "table" then
    return value
  end
  local made = is_list(value) and json.array({}) or {}
  for key, item in pairs(value) do
    made[key] = copy(item)
  end
  return made
end

--- Objects are merged by key; any other value of `over` replaces. A reference stands alone.
local function merge(base, over)
  if type(base) ~= "table" or type(over) ~= "table" or is_list(base) or is_list(over)
    or over["$ref"] or base["$ref"] then
    return copy(over)
  end
  for key, value in pairs(over) do
    base[key] = base[key] == nil and copy(value) or merge(base[key], value)
  end
  return base
end

local function ref(section, name)
  return { ["$ref"] = ("#/components/%s/%s"):format(section, name) }
end

-- Fields ----------------------------------------------------------------------------------------

local TYPES = {
  string = { type = "string" },
  integer = { type = "integer", format = "int64" },
  bigint = { -- digits in a string, too: JavaScript's numbers end at 2^53
    type = json.array({ "integer", "string" }), format = "int64",
    pattern = "^-?(0|[1-9][0-9]{0,17})$",
  },
  number = { type = "number" },
  boolean = { type = "boolean" },
  timestamp = { type = "string", format = "date-time" },
  date = { type = "string", format = "date" },
  uuid = { type = "string", format = "uuid" },
  object = { type = "object" },
  strings = { type = "array" },
  list = { type = "array" },
}
--- The largest whole numbers below 2^53 and below 2^63 that a double holds.
local MOST = { integer = 9007199254740991, bigint = 9223372036854774784 }
local BYTES = "its length is counted in bytes of UTF-8"

local object_schema

--- A string with a NUL is refused.
local NO_NUL = "^[^\\u0000]*$"

local function string_schema(field, schema)
  schema.pattern = NO_NUL
  schema.minLength, schema.maxLength = field.min, field.max
  schema.description = (field.min or field.max) and BYTES or nil
  return schema
end

--- What a value of the field has to be.
local function field_schema(field)
  if #field.wires > 0 then
    return { type = "string", enum = json.array(field.wires) }
  end
  local schema = copy(TYPES[field.type] or { type = json.array({ "object", "array" }) })
  if field.type == "string" then
    return string_schema(field, schema)
  elseif field.type == "strings" then
    schema.items = string_schema(field, { type = "string" })
  elseif field.type == "list" then
    schema.items = object_schema(field.fields)
  elseif field.type == "integer" or field.type == "bigint" then
    local most = MOST[field.type]
    schema.minimum, schema.maximum = field.min or -most, field.max or most
  else
    schema.minimum, schema.maximum = field.min, field.max
  end
  return schema
end

--- In JSON an optional value may be null as well.
local function nullable(schema)
  schema.type = type(schema.type) == "table" and schema.type or json.array({ schema.type })
  schema.type[#schema.type + 1] = "null"
  if schema.enum then
    schema.enum = copy(schema.enum)
    schema.enum[#schema.enum + 1] = json.null
  end
  return schema
end

--- Puts the schema at the dotted path; each object on the way is required if the value is.
local function put_at(object, path, schema, required)
  local head, rest = path:match("^([^.]+)%.(.+)$")
  local name = head or path
  object.properties = object.properties or {}
  if required then
    object.required = object.required or json.array({})
    local known = false
    for _, other in ipairs(object.required) do
      known = known or other == name
    end
    object.required[#object.required + 1] = not known and name or nil
  end
  if not head then
    object.properties[name] = schema
    return
  end
  object.properties[name] = object.properties[name] or { type = "object" }
  local inner = object.properties[name]
  if inner.type == "object" then -- else another field takes the whole value
    put_at(inner, rest, schema, required)
  end
end

function object_schema(fields)
  local object = { type = "object" }
  for _, field in ipairs(fields) do
    for _, path in ipairs(field.paths) do
      local schema = field_schema(field)
      local sure = not field.optional and #field.paths == 1
      put_at(object, path, sure and schema or nullable(schema), sure)
    end
  end
  return object
end

--- Other members than the declared ones are refused.
local function close(schema)
  if schema.type == "object" and schema.properties then
    schema.additionalProperties = false
    for _, inner in pairs(schema.properties) do
      close(inner)
    end
  elseif schema.items then
    close(schema.items)
  end
  return schema
end

local function body_schema(route)
  local schema = route.body ~= json.null and object_schema(route.body) or {}
  if route.body_is_closed and route.body ~= json.null then
    close(schema).additionalProperties = false
  end
  return schema
end

-- Parameters ------------------------------------------------------------------------------------

local function key_of(parameter)
  local name = parameter["in"] == "header" and parameter.name:lower() or parameter.name
  return parameter["in"] .. " " .. name
end

local OWN_PARAMETERS = {
  if_none_match = {
    name = "If-None-Match", ["in"] = "header",
    description = "ETags of responses that the client holds, or *: 304 if the present one is among "
      .. "them",
    schema = { type = "string", examples = json.array({ '"3903ffbf3394a273"' }) },
  },
  correlation_id = {
    name = names.correlation_id, ["in"] = "header",
    description = ("Returned in the response and written to every log line of the request; a "
      .. "new one replaces what is not 1 to %d printable characters of ASCII")
      :format(limits.correlation_bytes),
    schema = { type = "string" }, -- no value is refused
  },
  last_event_id = {
    name = "Last-Event-ID", ["in"] = "header",
    description = "The id of the last event that the client has seen: without it the stream begins "
      .. "with the present answer's",
    schema = { type = "string" },
  },
}
local STREAM_ANSWER = {
  name = "answer", ["in"] = "query", description = "Whether each event brings the answer itself",
  schema = { enum = json.array({ "true", "false" }), default = "false" },
}
--- OpenAPI has other places for these: a parameter of their name is ignored.
local NO_PARAMETERS = { accept = true, ["content-type"] = true, authorization = true }

local NO_CONTROLS = "^[^\\u0000-\\u001F\\u007F]*$"

--- Every value is text here, and a query has no control characters.
local function parameter_schema(field, where)
  local schema = field_schema(field)
  if field.type == "bigint" then
    schema.type, schema.pattern = "integer", nil
  elseif where == "query" and schema.pattern == NO_NUL then
    schema.pattern = NO_CONTROLS
  end
  return schema
end

local function add_fields(parameters, where, fields)
  for _, field in ipairs(fields or {}) do
    for _, name in ipairs(field.paths) do
      local schema = parameter_schema(field, where)
      if where ~= "header" or not NO_PARAMETERS[name:lower()] then
        parameters[#parameters + 1] = {
          name = name, ["in"] = where, schema = schema,
          required = not field.optional and #field.paths == 1 or nil,
        }
      end
    end
  end
end

local function add_own(parameters, name)
  for _, parameter in ipairs(parameters) do
    if key_of(parameter) == key_of(OWN_PARAMETERS[name]) then
      return -- the route declares the same header
    end
  end
  parameters[#parameters + 1] = copy(OWN_PARAMETERS[name])
end

local function path_parameters(path)
  local parameters = json.array({})
  for name in path:gmatch("{([^}]*)}") do
    parameters[#parameters + 1] = {
      name = name, ["in"] = "path", required = true, description = "Percent-encoded UTF-8",
      schema = { type = "string", minLength = 1, pattern = NO_CONTROLS },
    }
  end
  return parameters
end

-- Responses -------------------------------------------------------------------------------------

local RETRY = { ["Retry-After"] = ref("headers", "RetryAfter") }
--- What the program itself answers. A status, the name of its component, what it means, headers.
local ERRORS = {
  { 400, "BadRequest", "The request is wrong; the response says why" },
  {
    401, "Unauthorized", "No credentials, or wrong ones",
    { ["WWW-Authenticate"] = { schema = { type = "string" } } },
  },
  { 404, "NotFound", "Nothing has this path, or what it names does not exist" },
  {
    405, "MethodNotAllowed", "The path has other methods",
    { Allow = { schema = { type = "string" } } },
  },
  { 408, "RequestTimeout", "The request did not come in time; the connection is closed" },
  { 411, "LengthRequired", "The body has no Content-Length; the connection is closed" },
  { 413, "ContentTooLarge", "The request has a body that is not taken, or one that is too long" },
  {
    414, "TargetTooLong",
    ("The target is longer than %d bytes; the connection is closed"):format(limits.target_bytes),
  },
  { 415, "UnsupportedMediaType", "Content-Type is not the one that is described, or the body is "
    .. "encoded" },
  { 417, "ExpectationFailed", "Expect asks for anything but 100-continue; the connection is "
    .. "closed" },
  { 429, "TooManyRequests", "The service sends more requests than it may", RETRY },
  {
    431, "HeadTooLarge",
    ("The head has more than %d bytes or %d fields; the connection is closed")
      :format(limits.head_bytes, limits.fields),
  },
  { 500, "ServerError", "A fault of this service; its log says which, under the correlation id" },
  { 501, "NotImplemented", "A transfer coding that is not known; the connection is closed" },
  { 503, "Unavailable", "What the answer needs is away, or too many requests or connections wait",
    RETRY },
  { 505, "VersionNotSupported", "Not HTTP/1.x; the connection is closed" },
}
local ALWAYS = { 400, 405, 408, 411, 413, 414, 417, 431, 501, 503, 505 }

local function components()
  local responses = {
    NotModified = {
      description = "The client holds the current response",
      headers = { ETag = ref("headers", "ETag") },
    },
  }
  for _, row in ipairs(ERRORS) do
    responses[row[2]] = {
      description = row[3], headers = row[4],
      content = {
        ["application/json"] = { schema = ref("schemas", "Error") },
        ["application/problem+json"] = { schema = ref("schemas", "Problem") },
      },
    }
  end
  return responses
end

local function add_errors(responses, statuses)
  for _, status in ipairs(statuses) do
    for _, row in ipairs(ERRORS) do
      if row[1] == status then
        responses[tostring(status)] = ref("responses", row[2])
      end
    end
  end
end

--- What heads of a cached route's responses say.
local function caching_headers(route)
  local headers = {}
  if route.vary ~= json.null then
    headers.Vary = { schema = { type = "string", examples = json.array({ route.vary }) } }
  end
  if route.max_age_s > 0 then
    headers.Age = { schema = { type = "integer", minimum = 0 } }
    headers["Cache-Control"] = { schema = {
      const = ("%s, max-age=%d"):format(route.authenticated and "private" or "public",
        route.max_age_s),
    } }
  end
  return headers
end

local function add_success(responses, route)
  local method = route.method
  if route.streams then -- of what media type, the overlay says
    responses["200"] = { description = "Success; sent while it is made" }
    return
  end
  responses["200"] = { description = "Success", content = { ["application/json"] = {
    schema = {},
  } } }
  if READS[method] then
    local headers = caching_headers(route)
    headers.ETag = ref("headers", "ETag")
    responses["200"].headers = headers
    responses["304"] = ref("responses", "NotModified")
  end
end

-- Operations ------------------------------------------------------------------------------------

local document = { openapi = "3.1.0", paths = {} }
local open_query, used_ids = {}, {}

--- An id that no other operation has.
local function id_of(wanted)
  local id, number = wanted, 1
  while used_ids[id] do
    number = number + 1
    id = ("%s_%d"):format(wanted, number)
  end
  used_ids[id] = true
  return id
end

local function add_operation(path, method, operation)
  local name = method:lower()
  operation.operationId = id_of(operation.operationId)
  document.paths[path] = document.paths[path] or {}
  document.paths[path][name] = document.paths[path][name] or operation
  return operation
end

local function route_operation(route, path)
  local responses = {}
  local parameters = path_parameters(path)
  add_fields(parameters, "query", route.query ~= json.null and route.query or nil)
  add_fields(parameters, "header", route.headers ~= json.null and route.headers or nil)
  add_success(responses, route)
  add_errors(responses, ALWAYS)
  add_errors(responses, { 500, route.authenticated and 401, route.has_rate and 429,
    route.has_body and 415 })
  if READS[route.method] and not route.streams then
    add_own(parameters, "if_none_match")
  end
  add_own(parameters, "correlation_id")
  local operation = {
    operationId = route.endpoint, parameters = parameters, responses = responses,
    security = not route.authenticated and json.array({}) or nil,
  }
  if route.has_body then
    operation.requestBody = {
      required = true, description = ("At most %d bytes"):format(route.body_max_bytes),
      content = {
        [route.body_type] = {
          schema = body_schema(route),
        },
      },
    }
  end
  return operation
end

local function stream_operation(route, path)
  local parameters = path_parameters(path)
  local responses = {
    ["200"] = {
      description = "Server-sent events, each with the ETag of a changed answer as its id, until "
        .. "the client goes",
      content = { ["text/event-stream"] = { schema = { type = "string" } } },
    },
  }
  add_fields(parameters, "query", route.query ~= json.null and route.query or nil)
  add_fields(parameters, "header", route.headers ~= json.null and route.headers or nil)
  parameters[#parameters + 1] = copy(STREAM_ANSWER)
  add_own(parameters, "last_event_id")
  add_own(parameters, "correlation_id")
  add_errors(responses, ALWAYS)
  add_errors(responses, { 500, route.authenticated and 401, route.has_rate and 429 })
  return {
    operationId = route.endpoint .. "_live", parameters = parameters, responses = responses,
    security = not route.authenticated and json.array({}) or nil,
  }
end

local function add_routes()
  for _, route in ipairs(declared.routes) do
    for _, path in ipairs(route.paths) do
      local operation = add_operation(path, route.method, route_operation(route, path))
      open_query[operation] = route.query == json.null
    end
    for _, path in ipairs(route.live_paths) do
      add_operation(path, "GET", stream_operation(route, path))
    end
  end
end

local HEALTH = {
  ["/healthz"] = { "get_health", "Whether the process lives" },
  ["/readyz"] = { "get_readiness", "Whether every required dependency responds, and events are "
    .. "consumed" },
  ["/readyz/read"] = { "get_readiness_to_read", "Whether requests are served: for a load "
    .. "balancer" },
  ["/readyz/consume"] = { "get_readiness_to_consume", "Whether the events of all topics are "
    .. "followed: for an alarm" },
}

local function builtin_operation(id, summary, success)
  local operation = {
    operationId = id, summary = summary, security = json.array({}),
    parameters = json.array({}), responses = { ["200"] = success },
  }
  add_own(operation.parameters, "correlation_id")
  add_errors(operation.responses, ALWAYS)
  return operation
end

local function add_builtin()
  for path, row in pairs(HEALTH) do
    local content = { ["application/json"] = { schema = ref("schemas", "Health") } }
    local operation = builtin_operation(row[1], row[2], {
      description = "Yes", content = content,
    })
    operation.responses["503"] = {
      description = "No: `dependencies` says why", headers = RETRY, content = copy(content),
    }
    add_operation(path, "GET", operation)
  end
  add_operation("/metrics", "GET", builtin_operation("get_metrics", "Metrics for Prometheus", {
    description = "Every metric with HELP and TYPE",
    content = { ["text/plain; version=0.0.4; charset=utf-8"] = { schema = { type = "string" } } },
  }))
  local own = builtin_operation("get_openapi", "This document", {
    description = "This document", headers = { ETag = ref("headers", "ETag") },
    content = { ["application/json"] = { schema = { type = "object" } } },
  })
  own.responses["304"] = ref("responses", "NotModified")
  add_own(own.parameters, "if_none_match")
  add_operation("/openapi.json", "GET", own)
end

-- The overlay -----------------------------------------------------------------------------------

local METHODS = {
  get = true, put = true, post = true, delete = true, options = true, head = true, patch = true,
  trace = true,
}
local WHOLE = {
  openapi = true, info = true, jsonSchemaDialect = true, servers = true, paths = true,
  webhooks = true, components = true, security = true, tags = true, externalDocs = true,
}

local function equal(one, other)
  return encode(one, "") == encode(other, "")
end

--- What the reference points to within the document; nil: nothing.
local function follow(root, reference)
  local node = root
  for part in reference:sub(3):gmatch("[^/]+") do
    local name = part:gsub("~1", "/"):gsub("~0", "~")
    node = type(node) == "table" and (node[name] or node[tonumber(name) and tonumber(name) + 1])
    if not node then
      return nil
    end
  end
  return node
end

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

-- The document ----------------------------------------------------------------------------------

--- HEAD answers as GET, without the body.
local function add_heads()
  for _, item in pairs(document.paths) do
    if item.get and not item.head then
      local head = copy(item.get)
      head.operationId = id_of("head_" .. head.operationId)
      for _, response in pairs(head.responses) do
        response.content = nil
      end
      item.head = head
    end
  end
end

local function begin_document()
  local key = { key = json.array({}), service = json.array({}) }
  document.info = {
    title = declared.service, version = declared.version,
    description = "HEAD works as GET. Every error is {\"error\": \"…\"}, or a problem document "
      .. "(RFC 9457) if Accept names application/problem+json. Every response carries "
      .. names.correlation_id .. (". A target has at most %d bytes, a head %d bytes and %d fields, "
      .. "a query %d parameters, each once."):format(limits.target_bytes, limits.head_bytes,
        limits.fields, limits.parameters),
  }
  document.security = json.array({ key })
  document.components = {
    securitySchemes = {
      key = { type = "apiKey", ["in"] = "header", name = names.key },
      service = { type = "apiKey", ["in"] = "header", name = names.service },
    },
    headers = {
      ETag = {
        description = "Identifies this response: for If-None-Match",
        schema = { type = "string", pattern = '^"[0-9a-f]{16}"$' },
      },
      RetryAfter = { description = "Seconds", schema = { type = "integer", minimum = 1 } },
    },
    responses = components(),
    schemas = schemas,
  }
  if declared.certificate_is_key then
    document.components.securitySchemes.certificate = {
      type = "mutualTLS", description = "A client's certificate stands for the key",
    }
    document.security[2] = { certificate = json.array({}), service = json.array({}) }
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

begin_document()
add_routes()
add_builtin()
read_overlay()
if #problems > 0 then
  error(table.concat(problems, "\n"), 0)
end
add_heads()
return indented == 1 and encode(document, "\n") .. "\n" or encode(document, "")
