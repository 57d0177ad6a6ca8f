-- The settings of this site: only what differs from the service's own, which it extends.
-- `aggregator config` prints every setting, its meaning, its value and where that comes from;
-- `aggregator check` tells what is wrong. `systemctl reload aggregator` applies a change.

return {
  extends = "/usr/share/aggregator/config.lua",

  admin = { socket = "/run/aggregator/admin.sock" },

  -- http = { port = 4003, threads = 32 },
  -- kafka = { brokers = "kafka1:9092,kafka2:9092", options = { ["security.protocol"] = "ssl" } },
}
