-- The view: what scripts/view.lua declares.

CREATE TYPE batch_result_status AS ENUM
  ('REGISTERED', 'PROCESSING', 'PARTIALLY_COMPLETED', 'COMPLETED', 'FAILED', 'CANCELLED');
CREATE TYPE essay_phase_status AS ENUM
  ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'SKIPPED');

CREATE TABLE batch_results (
  batch_id text PRIMARY KEY,
  registration_at timestamptz,
  registration_event_id uuid,
  user_id text,
  essay_count integer,
  essay_ids text[],
  student_prompt_ref json,
  first_release boolean,
  assignment_at timestamptz,
  assignment_event_id uuid,
  assignment_id text,
  completion_at timestamptz,
  completion_event_id uuid,
  completion_status batch_result_status,
  completion_successful_count integer,
  completion_failed_count integer
) WITH (fillfactor = 85);
CREATE INDEX batch_results_of_user ON batch_results (user_id, registration_at DESC, batch_id);
CREATE INDEX batch_results_by_essay ON batch_results USING gin (essay_ids);

CREATE TABLE essay_results (
  essay_id text PRIMARY KEY,
  slot_at timestamptz,
  slot_event_id uuid,
  filename text,
  file_upload_id text,
  original_text_storage_id text,
  slot_link_at timestamptz,
  slot_link_event_id uuid,
  slot_batch_id text,
  spellcheck_at timestamptz,
  spellcheck_event_id uuid,
  spellcheck_status essay_phase_status,
  spellcheck_correction_count integer,
  spellcheck_corrected_text_storage_id text,
  spellcheck_metrics json,
  spellcheck_error_detail json,
  result_link_at timestamptz,
  result_link_event_id uuid,
  result_batch_id text,
  first_result_at timestamptz
) WITH (fillfactor = 80);
CREATE INDEX essay_results_by_slot ON essay_results (slot_batch_id);
CREATE INDEX essay_results_by_result ON essay_results (result_batch_id);

CREATE TABLE phase_outcomes (
  batch_id text,
  phase_name text,
  content_id uuid,
  outcome_at timestamptz,
  outcome_event_id uuid,
  phase_status text,
  result_status batch_result_status,
  processed_ids text[],
  failed_ids text[],
  restated_at timestamptz,
  restated_event_id uuid,
  PRIMARY KEY (batch_id, phase_name, content_id)
);
CREATE INDEX phase_outcomes_by_essay ON phase_outcomes USING gin ((processed_ids || failed_ids));

CREATE TABLE assessments (
  batch_id text,
  content_id uuid,
  judgement_at timestamptz,
  judgement_event_id uuid,
  essay_ids text[],
  ranks integer[],
  scores double precision[],
  statuses text[],
  comparison_count integer,
  restated_at timestamptz,
  restated_event_id uuid,
  PRIMARY KEY (batch_id, content_id)
);
CREATE INDEX assessments_by_essay ON assessments USING gin (essay_ids);
