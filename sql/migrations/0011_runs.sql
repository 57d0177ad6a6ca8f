-- An outcome of a phase is a statement of a run, as old as its earliest copy; a later run opens a
-- finished batch; a failed spell check without a reason has no error detail. Kept for what is
-- published: job, grades and confidence of a judgement, correlation ids of runs, processing times.
--
-- Rows of before have no correlation ids, and what two runs said alike is one row: `aggregator
-- rebuild` reads both from the log. Until then such a batch shows what its first run said.

-- Processes of the release before go on to write restated_at and restated_event_id, which nothing
-- reads any longer.
ALTER TABLE phase_outcomes ADD COLUMN correlation_id text COLLATE "C";
ALTER TABLE batch_results
  ADD COLUMN completion_correlation_id text COLLATE "C",
  ADD COLUMN completion_duration_s double precision;
ALTER TABLE assessments
  ADD COLUMN job_id text,
  ADD COLUMN letter_grades text[],
  ADD COLUMN confidence_scores double precision[],
  ADD COLUMN confidence_labels text[],
  ADD COLUMN processing_duration_s double precision,
  ADD COLUMN run_at timestamptz,
  ADD COLUMN run_event_id uuid,
  ADD COLUMN correlation_id text COLLATE "C";

-- The detail that was made up where an event stated none.
UPDATE essay_results SET spellcheck_error_detail = NULL
WHERE spellcheck_status = 'FAILED'
  AND spellcheck_error_detail->>'message' = 'Spell check failed'
  AND spellcheck_error_detail->>'error_code' = 'SPELLCHECK_SERVICE_ERROR';

-- Without the functions that the earlier text had: they are in sql/functions.
-- replaces 16d01d9cf34bce61573b42880f15af1421e8ec10e089951e7a93462f75f92c55
