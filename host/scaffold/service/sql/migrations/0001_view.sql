-- What scripts/view.lua declares. `aggregator new migration NAME` writes the later ones.
CREATE TABLE items (
  item_id text PRIMARY KEY,
  state_at timestamptz,
  state_event_id uuid,
  state text
) WITH (fillfactor = 50); -- a row is updated in its page, at each event
