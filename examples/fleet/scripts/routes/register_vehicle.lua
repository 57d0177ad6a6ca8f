--- POST /v1/vehicles
---
--- The tables of the view belong to the handlers, so the route writes none of them: it publishes an
--- event, which the handler vehicle_registered reads. A table of the service's own keeps the id and
--- the time of the event for each Idempotency-Key of a caller: a request that is repeated, for
--- example after a 503, publishes the same event.
local cloud_events = require("lib.cloud_events")
local failures = require("lib.failures")
local fields = require("lib.fields")
local json = require("json")
local kafka = require("kafka")
local pg = require("pg")

local TOPIC = "fleet.vehicle.registered.v1"

local function publish(request, vehicle, registration)
  return kafka.produce({
    topic = TOPIC,
    key = vehicle.vehicle_id,
    value = cloud_events.encode({
      id = registration.event_id,
      type = TOPIC,
      subject = vehicle.vehicle_id,
      time = registration.requested_at,
      correlation_id = request.correlation_id,
      data = vehicle,
    }),
  })
end

---@type Route
return {
  method = "POST",
  path = "/v1/vehicles",
  endpoint = "register_vehicle",
  auth = true,
  rate_limit = { requests = 10, per_s = 1, burst = 20 },
  headers = {
    caller = "X-Caller",
    idempotency_key = { "Idempotency-Key", min = 1, max = 64 },
  },
  body = {
    max_bytes = 4096,
    fields = {
      vehicle_id = fields.id("vehicle_id"),
      plate = { "plate", min = 1, max = 16 },
      model = { "model", max = 64, optional = true },
      depot_id = fields.id("depot_id"),
    },
  },
  handle = function(request)
    local vehicle = {
      vehicle_id = request.body.vehicle_id,
      plate = request.body.plate,
      model = request.body.model,
      depot_id = request.body.depot_id,
    }
    if not vehicle.vehicle_id:find("^[%w_-]+$") then
      return { status = 400, error = "vehicle_id takes letters, digits, _ and -" }
    end
    local rows, failure = pg.query("register_vehicle", {
      caller = request.headers.caller,
      idempotency_key = request.headers.idempotency_key,
      vehicle = json.encode(vehicle),
    })
    if not rows then
      return failures.response(failure, "Invalid vehicle")
    end
    if not rows[1].is_same then
      return { status = 422, error = "Idempotency-Key was used for another vehicle" }
    end
    local delivery, undelivered = publish(request, vehicle, rows[1])
    if not delivery then
      return failures.response(undelivered, "Invalid vehicle")
    end
    return {
      status = 202, -- the vehicle is in the view once the event is handled, in milliseconds
      body = json.encode({ vehicle_id = vehicle.vehicle_id, event_id = rows[1].event_id }),
      headers = { Location = "/v1/vehicles/" .. vehicle.vehicle_id },
    }
  end,
}
