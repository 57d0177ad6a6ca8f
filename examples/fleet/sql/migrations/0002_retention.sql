-- Old trips are found by their start, in order to leave (scripts/view.lua).
CREATE INDEX trips_by_start ON trips (start_at);
