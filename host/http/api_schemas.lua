--- What the program itself answers, as JSON Schema, by name. Argument: the module json.
local json = ...

local function list(...)
  return json.array({ ... })
end

local text, whole, flag = { type = "string" }, { type = "integer" }, { type = "boolean" }
local count = { type = "integer", minimum = 0 }

local stuck = {
  type = "object", required = list("script", "file", "running_ms", "limit_ms"),
  properties = {
    script = text, file = text, running_ms = whole, limit_ms = whole,
    event_id = { description = "Of the event that is handled", type = "string" },
  },
}

local health = {
  type = "object", additionalProperties = false,
  required = list("service", "status", "message", "version", "environment", "checks",
    "dependencies", "scripts"),
  properties = {
    service = text, message = text, environment = text, program_version = text,
    status = { enum = list("healthy", "degraded", "unhealthy") },
    version = { type = "string", description = "Of the service, as the platform knows it" },
    checks = {
      type = "object", additionalProperties = false,
      required = list("service_responsive", "dependencies_available"),
      properties = { service_responsive = flag, dependencies_available = flag },
    },
    dependencies = {
      description = "database, redis and kafka as they were last seen; empty before the first look",
      type = "object", additionalProperties = { ["$ref"] = "#/components/schemas/Dependency" },
    },
    scripts = {
      description = "The handlers and routes that run", type = "object",
      required = list("generation", "hash"),
      properties = {
        generation = { type = "integer", minimum = 1 }, hash = text,
        stuck = {
          description = "Calls that do not come back from a C function; absent: none",
          type = "array", items = stuck,
        },
      },
    },
    checked_ms_ago = {
      description = "Age of what is said of the dependencies", type = "integer", minimum = 0,
    },
  },
}

return {
  Health = health,
  Dependency = {
    type = "object", required = list("status"),
    properties = {
      status = {
        description = "degraded: away, but all works without it; disabled: not configured",
        enum = list("healthy", "degraded", "unhealthy", "disabled"),
      },
      reason = { description = "Why it is not healthy", type = "string" },
      took_ms = { type = "number", minimum = 0 },
    },
  },
  Error = {
    type = "object", required = list("error"),
    properties = { error = { type = "string", minLength = 1 } },
  },
  Problem = {
    description = "RFC 9457", type = "object",
    required = list("type", "title", "status", "detail", "instance", "error"),
    properties = {
      type = { type = "string", format = "uri-reference" },
      title = text, status = count, detail = text, instance = text, error = text,
    },
  },
}
