-- The settings of this service: what differs from the program's defaults, and the platform's
-- environment variables. `aggregator config` prints every setting, its value and where that comes
-- from. A site's own file says `extends = "…/config.lua"` and what differs from this one:
-- docs/operate/configure.md.
--
-- env("NAME", default) reads a variable. env_or_file("NAME", default) reads NAME or the file that
-- NAME_FILE names: use it for secrets. A setting that is nil has its default.

-- Percent-encodes a part of a URL: a password may contain a delimiter.
local function escaped(text)
  return (text:gsub("[^%w%-._~]", function(byte)
    return string.format("%%%02X", byte:byte())
  end))
end

local function database_at(host, port, user, password)
  return string.format("postgresql://%s:%s@%s:%s/huleedu_result_aggregator",
    escaped(user), escaped(password or ""), host, port)
end

-- The order of the platform's services: a URL, the production server, the server of the compose
-- file, the server on a developer's machine.
local function database_url()
  local url = env_or_file("RESULT_AGGREGATOR_SERVICE_DATABASE_URL")
    or env_or_file("SERVICE_DATABASE_URL")
    or env_or_file("DATABASE_URL")
  local user = env("HULEEDU_DB_USER", "huledu")
  if url then
    return url
  elseif env("ENVIRONMENT", "development") == "production" and env("HULEEDU_PROD_DB_HOST") then
    return database_at(env("HULEEDU_PROD_DB_HOST"), env("HULEEDU_PROD_DB_PORT", "5432"), user,
      env_or_file("HULEEDU_PROD_DB_PASSWORD"))
  elseif env("ENV_TYPE") == "docker" then
    return database_at(env("RESULT_AGGREGATOR_SERVICE_DB_HOST", "result_aggregator_db"),
      env("RESULT_AGGREGATOR_SERVICE_DB_PORT", "5432"), user, env_or_file("HULEEDU_DB_PASSWORD"))
  end
  return database_at("localhost", "5436", user, env_or_file("HULEEDU_DB_PASSWORD"))
end

return {
  service = {
    name = env("SERVICE_NAME", "result_aggregator_service"),
    environment = env("ENVIRONMENT"),
    version = env("SERVICE_VERSION"),
  },

  http = {
    host = env("HOST"),
    port = env("PORT"),
    drain_delay_ms = env("HTTP_DRAIN_DELAY_MS"),
    -- as the platform's compose file expects; false where an unhealthy container is restarted
    healthz_needs_database = env("HEALTHZ_NEEDS_DATABASE", true),
    -- separated by commas, several during a rotation
    api_keys = list(env_or_file("HULEEDU_INTERNAL_API_KEY") or env_or_file("INTERNAL_API_KEY")),
    allowed_services = list(
      env("ALLOWED_SERVICE_IDS", "api-gateway-service,admin-dashboard-service,bff-teacher-service")
    ),
    vocabularies = {
      ["api-gateway-service"] = "internal",
      ["bff-teacher-service"] = "internal",
    },
  },

  kafka = {
    brokers = env("KAFKA_BOOTSTRAP_SERVERS", "localhost:9093"),
    group = env("KAFKA_CONSUMER_GROUP_ID", "result_aggregator_group"),
    client_id = env("KAFKA_CLIENT_ID", "result-aggregator-consumer"),
    auto_offset_reset = env("KAFKA_AUTO_OFFSET_RESET"),
    session_timeout_ms = env("KAFKA_SESSION_TIMEOUT_MS"),
  },

  postgres = { url = database_url() },

  redis = {
    url = env_or_file("REDIS_URL"),
    seen_ttl_s = env("REDIS_IDEMPOTENCY_TTL_SECONDS"),
  },

  ingest = {
    workers = env("INGEST_WORKERS"),
    breaker_share_percent = env("INGEST_BREAKER_SHARE_PERCENT"),
    breaker_window_events = env("INGEST_BREAKER_WINDOW_EVENTS"),
  },

  outbox = {
    enabled = env("OUTBOX_ENABLED"),
    horizon_hours = env("OUTBOX_HORIZON_HOURS"),
  },

  cache = {
    enabled = env("CACHE_ENABLED"),
    ttl_s = env("REDIS_CACHE_TTL_SECONDS"),
  },

  scripts = {
    root = env("SCRIPTS_ROOT"),
    sql = env("SQL_ROOT"),
    specs = env("SCRIPTS_SPECS"),
    trial_s = env("SCRIPTS_TRIAL_S"),
    stuck_unready_s = env("SCRIPTS_STUCK_UNREADY_S"),
    stuck_exit_s = env("SCRIPTS_STUCK_EXIT_S"),
  },

  admin = {
    socket = env("ADMIN_SOCKET"),
    host = env("ADMIN_HOST"),
    port = env("ADMIN_PORT"),
    keys = list(env_or_file("ADMIN_API_KEY")),
  },

  log = {
    level = env("LOG_LEVEL"),
    format = env("LOG_FORMAT"),
  },
}
