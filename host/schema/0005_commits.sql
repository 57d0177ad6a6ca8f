-- What the last transaction that moved a partition's offset has touched: a process that dies before it
-- has announced that to the caches leaves it to the others.
ALTER TABLE aggregator_state.consumer_offsets
  ADD COLUMN IF NOT EXISTS commit_id uuid, -- the rows that one transaction moved have the same; NULL: not known
  ADD COLUMN IF NOT EXISTS commit_events integer, -- of the partition, that it counted
  ADD COLUMN IF NOT EXISTS commit_tags bytea; -- surrogate keys, 8 bytes each, in one of its rows
