--- The envelope: the fields that every event has, whatever its handler declares.

---@type EnvelopeDeclaration
return {
  id = "event_id",
  time = "event_timestamp",
  correlation_id = "correlation_id",
  fields = {
    event_type = "event_type",
    source_service = { "source_service", check_only = true },
  },
}
