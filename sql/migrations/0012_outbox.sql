-- What leaves for other services: keys that reactions have yet to look at, messages that have yet to
-- be published, and which process publishes them.

-- Ingestion appends a mark for each key that a commit touched; the transaction that stores what
-- follows from the key deletes it. A newer mark of a key stands for its older ones.
CREATE TABLE reaction_marks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  reaction text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  traceparent text, -- of the event that touched it
  marked_at timestamptz NOT NULL DEFAULT now(),
  retry_at timestamptz, -- not before; NULL: due
  attempts integer NOT NULL DEFAULT 0, -- that failed
  error text -- why the last one did
);
CREATE INDEX reaction_marks_by_key ON reaction_marks (reaction, key);

CREATE TABLE outbox (
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
CREATE INDEX outbox_pending ON outbox (id) WHERE state = 'pending';
CREATE INDEX outbox_failed ON outbox (id) WHERE state = 'failed';
CREATE INDEX outbox_done ON outbox (done_at) WHERE state <> 'pending';

-- One process publishes at a time. It says so again while it lives; a lease that has run out is
-- anybody's.
CREATE TABLE outbox_relay (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  holder text NOT NULL DEFAULT '',
  until timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);
INSERT INTO outbox_relay DEFAULT VALUES;
