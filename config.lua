-- The whole configuration. env("NAME", default) reads an environment variable; env_or_file("NAME")
-- reads NAME, or the file that NAME_FILE names: for secrets, which belong nowhere else.

-- Any text as a part of a URL: a password may hold what ends one there.
local function escaped(text)
  return (text:gsub("[^%w%-._~]", function(byte)
    return string.format("%%%02X", byte:byte())
  end))
end

local function database_at(host, port, user, password)
  return string.format("postgresql://%s:%s@%s:%s/huleedu_result_aggregator",
    escaped(user), escaped(password or ""), host, port)
end

-- As the platform's services find theirs: a URL that is given; the production server; the one
-- beside it in a compose file; the one on a developer's machine.
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
    -- as /healthz says it: what the platform's checks and dashboards know the service as
    version = env("SERVICE_VERSION", "1.0.0"),
  },

  http = {
    host = env("HOST", "0.0.0.0"), -- a name or an address; "::": IPv6, too
    port = env("PORT", 4003), -- 0: a free one, named in the log
    loops = 2, -- threads that hold the connections and answer from the process' cache
    threads = 16, -- threads that wait for Redis and Postgres: some more than there are states
    max_connections = 4096, -- past it whoever waits longest for its client makes room
    states = 8, -- Lua states for requests, each with a database connection while it asks
    request_timeout_ms = 10000, -- for a request to come, and again for its answer
    keep_alive_timeout_ms = 5000, -- between two requests of a connection
    -- /healthz is 503 while Postgres is away, as the platform's compose file checks it; false: only
    -- while the process hangs, for what restarts a container that is not healthy
    healthz_needs_database = env("HEALTHZ_NEEDS_DATABASE", true),
    -- the fields of a request that name its key, its caller and its id; the last is in answers, too
    api_key_header = "X-Internal-API-Key",
    caller_header = "X-Service-ID",
    correlation_id_header = "X-Correlation-ID",
    -- several at once while keys are rotated, separated by commas; none: nobody is let in, and the
    -- program warns
    api_keys = list(env_or_file("HULEEDU_INTERNAL_API_KEY") or env_or_file("INTERNAL_API_KEY")),
    allowed_services = list(
      env("ALLOWED_SERVICE_IDS", "api-gateway-service,admin-dashboard-service,bff-teacher-service")
    ),
    -- callers that read other words than the query wrote, by caller: each names a vocabulary
    -- that routes declare. A caller that is not named reads the body as it is
    vocabularies = {
      ["api-gateway-service"] = "internal",
      ["bff-teacher-service"] = "internal",
    },
  },

  kafka = {
    brokers = env("KAFKA_BOOTSTRAP_SERVERS", "localhost:9093"),
    group = env("KAFKA_CONSUMER_GROUP_ID", "result_aggregator_group"),
    client_id = env("KAFKA_CLIENT_ID", "result-aggregator-consumer"),
    -- "earliest" or "latest", for a partition that Postgres has no offset of
    auto_offset_reset = env("KAFKA_AUTO_OFFSET_RESET", "earliest"),
    session_timeout_ms = env("KAFKA_SESSION_TIMEOUT_MS", 30000),
    -- properties of librdkafka, by name: ["security.protocol"] = "ssl"; a worker's number is added
    -- to ["group.instance.id"]; ["sasl.password"] = env_or_file("KAFKA_PASSWORD") may be rotated
    options = {},
  },

  postgres = {
    url = database_url(),
    connect_timeout_ms = 5000,
    statement_timeout_ms = 15000,
  },

  redis = {
    -- REDIS_URL=none: no Redis at all; then an answer is kept for a second at most
    url = (env_or_file("REDIS_URL") or "redis://localhost:6379"):gsub("^none$", ""),
    timeout_ms = 250, -- of one pipeline
    seen_ttl_s = env("REDIS_IDEMPOTENCY_TTL_SECONDS", 86400),
  },

  ingest = {
    workers = env("INGEST_WORKERS", 1), -- threads, each with its consumer and connection
    batch_max_events = 4000, -- of one transaction
    batch_max_bytes = 16 * 1024 * 1024,
    batch_max_merge_bytes = 64 * 1024 * 1024, -- memory of its merges: then it is committed
    event_max_merge_bytes = 16 * 1024 * 1024, -- memory of its merges: above, it is rejected
    -- consumption stops, loudly, when more than this share of a handler's last events was rejected:
    -- then a script or a producer is at fault; 100: never
    breaker_share_percent = env("INGEST_BREAKER_SHARE_PERCENT", 50),
    breaker_window_events = env("INGEST_BREAKER_WINDOW_EVENTS", 100), -- from 20 of them on
    rejected_keep_hours = 24,
    rejected_keep_rows = 100000,
    rejected_keep_mb = 1024, -- of the table, events and all: the oldest go
  },

  outbox = {
    enabled = env("OUTBOX_ENABLED", true), -- false: another process publishes what is to be
    horizon_hours = env("OUTBOX_HORIZON_HOURS", 24), -- facts that are older are never sent
    keep_rows = 1000000, -- of facts past the horizon: beyond it the oldest leave the table
  },

  cache = {
    enabled = env("CACHE_ENABLED", true),
    ttl_s = env("REDIS_CACHE_TTL_SECONDS", 300),
    process_max_bytes = 32 * 1024 * 1024,
  },

  scripts = {
    root = env("SCRIPTS_ROOT", "scripts"), -- beside this file, unless it starts with a slash
    sql = env("SQL_ROOT", "sql"),
    memory_limit_mb = 64, -- of one Lua state
    -- the specs that new scripts have to pass before a reload takes them; "": none
    specs = env("SCRIPTS_SPECS", ""),
    specs_timeout_s = 120,
    -- for so long after a reload the new scripts are on trial: where they reject a larger share of
    -- the events than those before, by so many percent points, these are brought back; 0: no trial
    trial_s = env("SCRIPTS_TRIAL_S", 60),
    trial_margin_percent = 5,
    -- of `aggregator reload --shadow-run`: the number of newest events that both script sets get,
    -- and the share of differing rows or newly rejected events that the reload accepts
    canary_events = 10000,
    canary_accept_percent = 0, -- any difference refuses
    handler_timeout_ms = 1000, -- of one event
    route_timeout_ms = 2000, -- of one request
    -- so long beyond its time a script that cannot be ended, because it does not come back from a C
    -- function, makes the process unready, and then ends it; 0: never ends it
    stuck_unready_s = env("SCRIPTS_STUCK_UNREADY_S", 5),
    stuck_exit_s = env("SCRIPTS_STUCK_EXIT_S", 60),
  },

  admin = {
    -- where `aggregator status` and `aggregator resume` find the program that runs here
    socket = env("ADMIN_SOCKET", "aggregator.sock"),
    -- the same and more over HTTP, for whoever brings "Authorization: Bearer KEY"; without a key
    -- nothing listens
    host = env("ADMIN_HOST", "127.0.0.1"),
    port = env("ADMIN_PORT", 4004), -- 0: a free one, named in the log
    keys = list(env_or_file("ADMIN_API_KEY")), -- several at once while they are rotated
  },

  log = {
    level = env("LOG_LEVEL", "INFO"),
    format = env("LOG_FORMAT", "json"), -- "json" or "text"
  },
}
