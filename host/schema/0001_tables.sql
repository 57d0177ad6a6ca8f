-- What the program keeps for itself. Every name has its schema before it: a rebuild replaces the schema's
-- name (program_schema.h).

-- A database of a release that had these tables among the service's gives them up: rows, rights and
-- indexes move along. The functions come again (functions.sql), the notes of their migrations go.
DO $$
DECLARE
  service oid;
  moved text;
BEGIN
  IF NOT EXISTS (SELECT FROM schema_migrations m WHERE m.name = '0002_host.sql') THEN
    RETURN;
  END IF;
  SELECT relnamespace INTO STRICT service FROM pg_class WHERE oid = 'schema_migrations'::regclass;
  FOR moved IN SELECT oid::regclass FROM pg_class
    WHERE relnamespace = service AND relkind = 'r' AND relname IN ('consumer_offsets',
      'offset_scripts', 'rejected_events', 'instances', 'script_generations', 'script_files',
      'reaction_marks', 'outbox', 'outbox_relay')
  LOOP
    EXECUTE format('ALTER TABLE %s SET SCHEMA aggregator_state', moved);
  END LOOP;
  FOR moved IN SELECT oid::regprocedure FROM pg_proc
    WHERE pronamespace = service AND proname IN ('advance_offset', 'move_offset')
  LOOP
    EXECUTE format('DROP FUNCTION %s', moved);
  END LOOP;
  DELETE FROM schema_migrations m WHERE m.name IN ('0002_host.sql', '0004_accounting.sql',
    '0006_offsets.sql', '0007_instances.sql', '0008_script_generations.sql', '0012_outbox.sql');
  ALTER TABLE aggregator_state.consumer_offsets -- the oldest ones lack these
    ADD COLUMN IF NOT EXISTS fresh_offset bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS scripts text,
    ADD COLUMN IF NOT EXISTS applied bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS superseded bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS ignored bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS duplicate bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS rejected bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS skipped bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS last_offset bigint,
    ADD COLUMN IF NOT EXISTS last_time timestamptz;
  ALTER TABLE aggregator_state.rejected_events ALTER COLUMN generation TYPE text;
  -- roles that had rights on the tables where they were
  FOR moved IN SELECT DISTINCT a.grantee::regrole FROM pg_class c, aclexplode(c.relacl) a
    WHERE c.oid = 'aggregator_state.consumer_offsets'::regclass AND a.grantee NOT IN (0, c.relowner)
  LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA aggregator_state TO %s', moved);
  END LOOP;
END
$$;

-- Where each partition goes on, and what became of every event before: both move together.
CREATE TABLE IF NOT EXISTS aggregator_state.consumer_offsets (
  consumer_group text,
  topic text,
  partition integer,
  next_offset bigint NOT NULL,
  fresh_offset bigint NOT NULL DEFAULT 0, -- below: a replay, Redis is not asked
  scripts text, -- hash of the generation that handles it
  applied bigint NOT NULL DEFAULT 0,
  superseded bigint NOT NULL DEFAULT 0,
  ignored bigint NOT NULL DEFAULT 0,
  duplicate bigint NOT NULL DEFAULT 0,
  rejected bigint NOT NULL DEFAULT 0,
  -- passed without a record: deleted by Kafka before they were read, compacted away, or the markers
  -- of transactions
  skipped bigint NOT NULL DEFAULT 0,
  -- the last record passed, and its time by the broker: by these the log is known again
  last_offset bigint,
  last_time timestamptz,
  PRIMARY KEY (consumer_group, topic, partition)
) WITH (fillfactor = 50);

-- From which offset on which scripts handled a partition: one row a change.
CREATE TABLE IF NOT EXISTS aggregator_state.offset_scripts (
  consumer_group text,
  topic text,
  partition integer,
  from_offset bigint,
  scripts text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer_group, topic, partition, from_offset, changed_at)
);

CREATE TABLE IF NOT EXISTS aggregator_state.rejected_events (
  topic text,
  partition integer,
  "offset" bigint,
  rejected_at timestamptz NOT NULL DEFAULT now(),
  reason text NOT NULL,
  detail text,
  raw bytea,
  event_id text,
  correlation_id text,
  handler text,
  generation text,
  PRIMARY KEY (topic, partition, "offset")
);
CREATE INDEX IF NOT EXISTS rejected_events_by_age ON aggregator_state.rejected_events (rejected_at);

-- The processes that run or ran lately, and with which scripts: a fleet rolled out by half shows, and
-- so does a restart with other scripts than before.
CREATE TABLE IF NOT EXISTS aggregator_state.instances (
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

-- The scripts that have run, with their files: a rollback finds them after a restart, too.
CREATE TABLE IF NOT EXISTS aggregator_state.script_generations (
  hash text PRIMARY KEY,
  first_ran_at timestamptz NOT NULL DEFAULT now(),
  last_ran_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS aggregator_state.script_files (
  hash text REFERENCES aggregator_state.script_generations ON DELETE CASCADE,
  name text,
  path text NOT NULL,
  source bytea NOT NULL,
  PRIMARY KEY (hash, name)
);

-- Ingestion appends a mark for each key that a commit touched; the transaction that stores what
-- follows from the key deletes it. A newer mark of a key stands for its older ones.
CREATE TABLE IF NOT EXISTS aggregator_state.reaction_marks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  reaction text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  traceparent text, -- of the event that touched it
  marked_at timestamptz NOT NULL DEFAULT now(),
  retry_at timestamptz, -- not before; NULL: due
  attempts integer NOT NULL DEFAULT 0, -- that failed
  error text -- why the last one did
);
CREATE INDEX IF NOT EXISTS reaction_marks_by_key ON aggregator_state.reaction_marks (reaction, key);

CREATE TABLE IF NOT EXISTS aggregator_state.outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- messages of one key leave in its order
  identity text COLLATE "C" NOT NULL UNIQUE, -- of the fact: a fact that is stored again changes nothing
  topic text COLLATE "C" NOT NULL,
  key text COLLATE "C",
  value bytea NOT NULL,
  headers jsonb NOT NULL DEFAULT '{}', -- texts by name
  fact_at timestamptz NOT NULL, -- when it became true: past the horizon it is not sent
  created_at timestamptz NOT NULL DEFAULT now(),
  source text NOT NULL, -- the reaction or handler
  scripts text NOT NULL, -- their hash
  traceparent text,
  -- settled: not sent and not to be sent, too old or dropped by an operator; failed: Kafka refuses
  -- this message whatever happens
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'settled', 'failed')),
  done_at timestamptz, -- when it ceased to be pending
  attempts integer NOT NULL DEFAULT 0, -- that failed
  error text -- why the last one did, or why it is settled
);
CREATE INDEX IF NOT EXISTS outbox_pending ON aggregator_state.outbox (id) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS outbox_failed ON aggregator_state.outbox (id) WHERE state = 'failed';
CREATE INDEX IF NOT EXISTS outbox_done ON aggregator_state.outbox (done_at) WHERE state <> 'pending';

-- One process publishes at a time. It says so again while it lives; a lease that has run out is
-- anybody's.
CREATE TABLE IF NOT EXISTS aggregator_state.outbox_relay (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  holder text NOT NULL DEFAULT '',
  until timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);
INSERT INTO aggregator_state.outbox_relay DEFAULT VALUES ON CONFLICT DO NOTHING;
