--- Every event is a CloudEvent in JSON (CloudEvents 1.0, "JSON Event Format", structured mode).
--- `correlationid` is an extension attribute: their names have lower-case letters and digits only.

---@type EnvelopeDeclaration
return {
  id = "id",
  time = "time",
  correlation_id = "correlationid",
  fields = {
    specversion = { "specversion", enum = { "1.0" }, check_only = true },
    source = { "source", min = 1, check_only = true },
  },
}
