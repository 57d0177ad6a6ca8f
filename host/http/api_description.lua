--- The OpenAPI 3.1 document of the API. Arguments: the module json, the declarations' text, 1 to
--- indent the document, the results of api_document.lua, api_fields.lua, api_schemas.lua and
--- api_overlay.lua. Raises the problems of `overlay`, one a line.
local json, text, indented, tools, fields, schemas, lay_over = ...
local declared = assert(json.decode(text))
local limits, names = declared.limits, declared.headers
local copy, ref, key_of = tools.copy, tools.ref, tools.key_of
local READS = { GET = true, HEAD = true }

-- Parameters ------------------------------------------------------------------------------------

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
  local schema = fields.field_schema(field)
  if field.type == "bigint" then
    schema.type, schema.pattern = "integer", nil
  elseif where == "query" and schema.pattern == fields.NO_NUL then
    schema.pattern = NO_CONTROLS
  end
  return schema
end

local function add_fields(parameters, where, declarations)
  for _, field in ipairs(declarations or {}) do
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
          schema = fields.body_schema(route),
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

begin_document()
add_routes()
add_builtin()
local problems = {}
lay_over(document, declared, open_query, function(format, ...)
  problems[#problems + 1] = declared.overlay_path .. ": " .. format:format(...)
end)
if #problems > 0 then
  error(table.concat(problems, "\n"), 0)
end
add_heads()
return indented == 1 and tools.encode(document, "\n") .. "\n" or tools.encode(document, "")
