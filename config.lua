-- The configuration. env("NAME", default) reads an environment variable. env_or_file("NAME") reads
-- NAME or the file that NAME_FILE names: use it for secrets.

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
    environment = env("ENVIRONMENT", "development"),
    version = env("SERVICE_VERSION", "1.0.0"), -- in /healthz, for the platform's dashboards
  },

  http = {
    host = env("HOST", "0.0.0.0"), -- a name or an address; "::": IPv4 and IPv6
    port = env("PORT", 4003), -- 0: a free port, which the log names
    loops = 2, -- threads that read requests and send responses from the process' cache
    threads = 16, -- threads that wait for Redis and Postgres: more than states
    max_connections = 4096, -- above it the server closes the connection that is idle longest
    states = 8, -- Lua states for requests, each with a database connection while a query runs
    request_timeout_ms = 10000, -- to receive a request, and again to send its response
    keep_alive_timeout_ms = 5000, -- between two requests of a connection
    -- from SIGTERM, when /readyz turns 503, until new connections are refused: as long as a
    -- balancer takes to notice
    drain_delay_ms = env("HTTP_DRAIN_DELAY_MS", 0),
    drain_timeout_ms = 30000, -- then, for the connections that are open to end by themselves
    -- true: /healthz is 503 while Postgres is unavailable, as the platform's compose file expects;
    -- false: only while the process hangs, if an unhealthy container is restarted
    healthz_needs_database = env("HEALTHZ_NEEDS_DATABASE", true),
    -- request fields with the API key, the caller and the correlation id, which responses repeat
    api_key_header = "X-Internal-API-Key",
    caller_header = "X-Service-ID",
    correlation_id_header = "X-Correlation-ID",
    -- separated by commas, several during a rotation; none: every request is refused
    api_keys = list(env_or_file("HULEEDU_INTERNAL_API_KEY") or env_or_file("INTERNAL_API_KEY")),
    allowed_services = list(
      env("ALLOWED_SERVICE_IDS", "api-gateway-service,admin-dashboard-service,bff-teacher-service")
    ),
    -- the vocabulary of a caller, one that routes declare: it replaces words of the response body
    vocabularies = {
      ["api-gateway-service"] = "internal",
      ["bff-teacher-service"] = "internal",
    },
  },

  kafka = {
    brokers = env("KAFKA_BOOTSTRAP_SERVERS", "localhost:9093"),
    group = env("KAFKA_CONSUMER_GROUP_ID", "result_aggregator_group"),
    client_id = env("KAFKA_CLIENT_ID", "result-aggregator-consumer"),
    -- "earliest" or "latest": the start of a partition without an offset in Postgres
    auto_offset_reset = env("KAFKA_AUTO_OFFSET_RESET", "earliest"),
    session_timeout_ms = env("KAFKA_SESSION_TIMEOUT_MS", 30000),
    -- librdkafka's properties: ["security.protocol"] = "ssl". The worker's number is appended to
    -- ["group.instance.id"]. ["sasl.password"] = env_or_file("KAFKA_PASSWORD") may be rotated.
    options = {},
  },

  postgres = {
    url = database_url(),
    connect_timeout_ms = 5000,
    statement_timeout_ms = 15000,
  },

  redis = {
    -- REDIS_URL=none: without Redis; then responses are cached for at most one second
    url = (env_or_file("REDIS_URL") or "redis://localhost:6379"):gsub("^none$", ""),
    timeout_ms = 250, -- of one pipeline
    seen_ttl_s = env("REDIS_IDEMPOTENCY_TTL_SECONDS", 86400), -- of the processed ids
  },

  ingest = {
    workers = env("INGEST_WORKERS", 1), -- threads, each with a consumer and a database connection
    batch_max_events = 4000, -- of one transaction
    batch_max_bytes = 16 * 1024 * 1024,
    batch_max_merge_bytes = 64 * 1024 * 1024, -- memory of a batch's merges; at the limit it commits
    event_max_merge_bytes = 16 * 1024 * 1024, -- memory of an event's merges; above it is rejected
    -- ingestion stops, and alerts, if a larger share of a handler's last events was rejected: a
    -- script or a producer has a fault; 100: never
    breaker_share_percent = env("INGEST_BREAKER_SHARE_PERCENT", 50),
    breaker_window_events = env("INGEST_BREAKER_WINDOW_EVENTS", 100), -- judged from 20 events on
    rejected_keep_hours = 24,
    rejected_keep_rows = 100000,
    rejected_keep_mb = 1024, -- of the table with its events: the oldest rows are deleted
  },

  outbox = {
    enabled = env("OUTBOX_ENABLED", true), -- false: another process publishes the messages
    horizon_hours = env("OUTBOX_HORIZON_HOURS", 24), -- older facts are never sent
    keep_rows = 1000000, -- of facts past the horizon: above it the oldest rows are deleted
  },

  cache = {
    enabled = env("CACHE_ENABLED", true),
    ttl_s = env("REDIS_CACHE_TTL_SECONDS", 300),
    process_max_bytes = 32 * 1024 * 1024,
  },

  scripts = {
    root = env("SCRIPTS_ROOT", "scripts"), -- relative to this file
    sql = env("SQL_ROOT", "sql"),
    memory_limit_mb = 64, -- of one Lua state
    -- specs that a reload has to pass; "": none
    specs = env("SCRIPTS_SPECS", ""),
    specs_timeout_s = 120,
    -- bake time after a reload: if the share of rejected events rises by more than the margin, in
    -- percentage points, the program rolls back to the scripts before; 0: none
    trial_s = env("SCRIPTS_TRIAL_S", 60),
    trial_margin_percent = 5,
    -- of `aggregator reload --shadow-run`: the number of newest events that both script sets get,
    -- and the share of differing rows or newly rejected events that the reload accepts
    canary_events = 10000,
    canary_accept_percent = 0, -- any difference refuses the reload
    handler_timeout_ms = 1000, -- of one event
    route_timeout_ms = 2000, -- of one request
    -- a script that hangs in a C function cannot be interrupted: so long after its timeout the
    -- process becomes unready, and then exits; 0: it never exits
    stuck_unready_s = env("SCRIPTS_STUCK_UNREADY_S", 5),
    stuck_exit_s = env("SCRIPTS_STUCK_EXIT_S", 60),
  },

  admin = {
    -- the socket of `aggregator status`, `aggregator resume` and the other commands
    socket = env("ADMIN_SOCKET", "aggregator.sock"),
    -- the admin API over HTTP, with "Authorization: Bearer KEY"; without a key the port is closed
    host = env("ADMIN_HOST", "127.0.0.1"),
    port = env("ADMIN_PORT", 4004), -- 0: a free port, which the log names
    keys = list(env_or_file("ADMIN_API_KEY")), -- several during a rotation
  },

  log = {
    level = env("LOG_LEVEL", "INFO"),
    format = env("LOG_FORMAT", "json"), -- "json" or "text"
  },
}
