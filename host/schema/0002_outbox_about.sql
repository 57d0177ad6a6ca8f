-- What a message was made of: the key of its reaction, or the id of its handler's event. NULL: a release
-- before this column stored it.
ALTER TABLE aggregator_state.outbox ADD COLUMN IF NOT EXISTS about text COLLATE "C";
