--- Where every event has its id, its time and its correlation id.

---@type EnvelopeDeclaration
return {
  id = "event_id",
  time = "event_timestamp",
  correlation_id = "correlation_id",
}
