-- Half of what it cost Postgres to write an essay's row and to name an essay in a list. Rewrites
-- essay_results and makes four indexes anew: some seconds a million essays, in which nobody reads.

-- An essay is found by the batch of its first result, or of its slot until then. By one column that
-- seldom changes, with room for it in the page, an update needs no new index entries: most are
-- heap-only ones.
DROP INDEX essay_results_by_slot;
DROP INDEX essay_results_by_result;
ALTER TABLE essay_results SET (fillfactor = 50);
ALTER TABLE essay_results
  -- ids have no language: compared by their bytes
  ALTER COLUMN essay_id TYPE text COLLATE "C",
  ADD COLUMN linked_batch_id text COLLATE "C"
    GENERATED ALWAYS AS (coalesce(result_batch_id, slot_batch_id)) STORED;
CREATE INDEX essay_results_by_link ON essay_results (linked_batch_id);

-- Eight bytes an id, whatever it looks like: an index over these takes half the time. NULL for none.
CREATE FUNCTION id_hashes(ids text[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT array_agg(hashtextextended(id COLLATE "C", 0)) FROM unnest(ids) AS id
$$;
DROP INDEX batch_results_by_essay;
DROP INDEX phase_outcomes_by_essay;
DROP INDEX assessments_by_essay;
CREATE INDEX batch_results_by_essay ON batch_results
  USING gin (id_hashes(essay_ids)) WITH (fastupdate = off);
CREATE INDEX phase_outcomes_by_essay ON phase_outcomes
  USING gin (id_hashes(processed_ids || failed_ids)) WITH (fastupdate = off);
CREATE INDEX assessments_by_essay ON assessments
  USING gin (id_hashes(essay_ids)) WITH (fastupdate = off);

-- Without the functions that the earlier text had: they are in sql/functions.
-- replaces 998e6450a3134bd55c380886cc2917aefc546decf1561fba666a152fcb1da6b3
