-- What lists read, kept for each registered batch: its status, and its answer once a list has shown
-- it (sql/functions/lists.sql). All of it is derived again where it is missing: these tables are
-- empty after the upgrade, and after a crash of Postgres, which empties unlogged tables. The first
-- list of a user then takes longer.

-- Rows whose epoch is not the newest are outdated: one row here outdates all of them at once.
CREATE UNLOGGED TABLE list_epochs (epoch integer PRIMARY KEY);

-- The batches of users. An outdated row has a NULL status.
CREATE UNLOGGED TABLE batch_lists (
  batch_id text PRIMARY KEY,
  user_id text NOT NULL,
  registered_at timestamptz NOT NULL,
  status batch_result_status,
  epoch integer NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX batch_lists_of_user ON batch_lists (user_id, registered_at DESC, batch_id)
  INCLUDE (status, epoch);
CREATE INDEX batch_lists_by_hash ON batch_lists (hashtextextended(batch_id, 0));

-- Answers, and for a status that depends on essays a row without a body. A change of any of the tags,
-- which are hashes of ids, outdates the row.
CREATE UNLOGGED TABLE batch_answers (
  batch_id text PRIMARY KEY,
  tags bigint[] NOT NULL,
  body text,
  epoch integer NOT NULL
);
CREATE INDEX batch_answers_by_tag ON batch_answers USING gin (tags) WITH (fastupdate = off);

-- What transactions changed and no list has looked at: one row for each statement that changed the
-- view. Ids are not worth compressing.
CREATE UNLOGGED TABLE list_marks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  batches text[],
  essays text[],
  count integer NOT NULL
);
ALTER TABLE list_marks
  ALTER COLUMN batches SET STORAGE EXTERNAL,
  ALTER COLUMN essays SET STORAGE EXTERNAL;
