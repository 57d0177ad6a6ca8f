--- The declared fields of bodies and parameters as JSON Schema. Arguments: the module json, the
--- tools of api_document.lua.
local json, tools = ...
local copy = tools.copy

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

return { field_schema = field_schema, body_schema = body_schema, NO_NUL = NO_NUL }
