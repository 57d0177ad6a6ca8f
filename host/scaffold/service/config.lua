-- The settings of this service, where they differ from the program's defaults.
-- `aggregator config` prints every setting, its value and where that comes from.

return {
  service = { name = "@name@", metric_prefix = "@name@" },

  http = {
    api_key_header = "X-API-Key",
    caller_header = "X-Caller",
    api_keys = list(env_or_file("API_KEYS")), -- separated by commas, several during a rotation
  },

  kafka = { group = "@name@", client_id = "@name@" },

  postgres = { url = env_or_file("DATABASE_URL") or "postgresql://localhost:5432/@name@" },
}
