--- The view: one row a vehicle, one a trip, and what positions say of a trip.

---@type TableDeclaration[]
return {
  {
    name = "vehicles",
    key = { { "vehicle_id", "text" } },
    groups = {
      {
        name = "registration",
        rule = "latest",
        columns = { { "plate", "text" }, { "model", "text" }, { "depot_id", "id" } },
      },
      {
        name = "state",
        rule = "latest",
        columns = { { "state", "vehicle_state" }, { "odometer_km", "double" } },
      },
      {
        name = "position",
        rule = "latest",
        columns = {
          { "latitude", "double" },
          { "longitude", "double" },
          { "speed_kmh", "double" },
          { "heading_deg", "integer" },
        },
      },
      -- all who have driven it
      { name = "drivers", rule = "set", columns = { { "driver_ids", "id[]" } } },
    },
  },
  {
    -- Start and end are two events, which may come in any order.
    name = "trips",
    key = { { "trip_id", "uuid" } },
    -- A trip is over, and its distance corrected, within a month.
    retention = { days = 400, span_days = 30, by = "start", with = { trip_tracks = "trip_id" } },
    groups = {
      {
        name = "start",
        rule = "first",
        columns = { { "vehicle_id", "id" }, { "driver_id", "id" } },
      },
      { name = "finish", rule = "latest", columns = { { "distance_km", "double" } } },
    },
  },
  {
    -- Not in `trips`: the reaction trip_completed follows that table, and no position completes a
    -- trip. Each commit that writes a followed table calls the reaction for the rows written.
    name = "trip_tracks",
    key = { { "trip_id", "uuid" } },
    groups = {
      { name = "top_speed", rule = "max", columns = { { "top_speed_kmh", "double" } } },
    },
  },
}
