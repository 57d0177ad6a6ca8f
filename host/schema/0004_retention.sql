-- The horizons of the view: which rows have left it, and which events come too late.
ALTER TABLE aggregator_state.consumer_offsets
  ADD COLUMN IF NOT EXISTS expired bigint NOT NULL DEFAULT 0; -- about rows that have left the view

-- One row for each table of the view with a retention. The times only move forward.
CREATE TABLE IF NOT EXISTS aggregator_state.retention (
  root text COLLATE "C" PRIMARY KEY,
  horizon timestamptz, -- rows with an older time leave, or have left; NULL: none has yet
  expired_before timestamptz, -- older events write nothing that leaves with these rows
  moved_at timestamptz, -- when the horizon moved
  swept_at timestamptz, -- when the last row before the horizon was gone; NULL: some may be left
  removed bigint NOT NULL DEFAULT 0 -- rows of the table itself that have left
) WITH (fillfactor = 50);
