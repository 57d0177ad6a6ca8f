-- The processes that run or ran lately, and with which scripts: a fleet rolled out by half shows, and
-- so does a restart with other scripts than before.
CREATE TABLE instances (
  consumer_group text,
  instance text,
  host text NOT NULL,
  started_at timestamptz NOT NULL,
  last_seen timestamptz NOT NULL,
  stopped_at timestamptz, -- in order
  generation bigint NOT NULL,
  scripts text NOT NULL, -- their hash
  since timestamptz NOT NULL, -- when it began to run these
  PRIMARY KEY (consumer_group, instance)
) WITH (fillfactor = 50);
