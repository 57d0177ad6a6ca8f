--- What wrk has seen, as one line of JSON.
function done(summary)
  local errors = summary.errors
  print(("{\"requests\": %d, \"bytes\": %d, \"duration_us\": %d, \"failed\": %d}"):format(
    summary.requests, summary.bytes, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
