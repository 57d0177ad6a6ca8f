-- The scripts that have run, with their files: a rollback finds them after a restart, too.
CREATE TABLE script_generations (
  hash text PRIMARY KEY,
  first_ran_at timestamptz NOT NULL DEFAULT now(),
  last_ran_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE script_files (
  hash text REFERENCES script_generations ON DELETE CASCADE,
  name text,
  path text NOT NULL,
  source bytea NOT NULL,
  PRIMARY KEY (hash, name)
);
