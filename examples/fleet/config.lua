-- The settings of this service, where they differ from the program's defaults.
-- `aggregator config` prints every setting, its value and where that comes from.

return {
  service = { name = "fleet", metric_prefix = "fleet" },

  http = {
    port = 4013,
    api_key_header = "X-API-Key",
    caller_header = "X-Caller",
    -- separated by commas, several during a rotation
    api_keys = list(env_or_file("FLEET_API_KEYS")),
    allowed_services = { "dispatch", "depot-board" },
  },

  kafka = { group = "fleet", client_id = "fleet" },

  postgres = { url = env_or_file("FLEET_DATABASE_URL") or "postgresql://localhost:5432/fleet" },

  admin = { port = 4014 },
}
