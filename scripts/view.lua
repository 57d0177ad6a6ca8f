--- The view: tables, keys, groups of columns and the rule by which each group merges.
---
--- A group moves as a whole and carries one version, (event time, event id), in the columns
--- `<group>_at` and `<group>_event_id`. Rules: `first` keeps the earliest version, `latest` the
--- newest. `min` and `max` keep the smallest or largest value of their one column, `set` the items
--- that were merged into it, `count` their number; they carry no version. A key column of type
--- `content` is the hash of the named group's values: a repeated fact is one row.
---
--- Types: text, id, integer, bigint, double, uuid, date, and lists of these (text[] …); boolean,
--- timestamp, json, content, or the name of an enum of the database. An id is an indexed text: its
--- length is bounded, like that of each text of a key.

---@type TableDeclaration[]
return {
  {
    name = "batch_results",
    key = { { "batch_id", "text" } },
    groups = {
      {
        name = "registration",
        rule = "first",
        columns = {
          { "user_id", "id" },
          { "essay_count", "integer" },
          { "essay_ids", "id[]" },
          { "student_prompt_ref", "json" },
          { "first_release", "boolean" },
        },
      },
      { name = "assignment", rule = "first", columns = { { "assignment_id", "id" } } },
      {
        name = "completion",
        rule = "latest",
        columns = {
          -- null if the event's status does not end the batch
          { "completion_status", "batch_result_status" },
          { "completion_successful_count", "integer" },
          { "completion_failed_count", "integer" },
          { "completion_correlation_id", "id" },
          { "completion_duration_s", "double" },
        },
      },
    },
  },
  {
    name = "essay_results",
    key = { { "essay_id", "text" } },
    groups = {
      {
        name = "slot",
        rule = "latest",
        columns = {
          { "filename", "text" },
          { "file_upload_id", "id" },
          { "original_text_storage_id", "id" },
        },
      },
      { name = "slot_link", rule = "first", columns = { { "slot_batch_id", "id" } } },
      {
        name = "spellcheck",
        rule = "latest",
        columns = {
          { "spellcheck_status", "essay_phase_status" },
          { "spellcheck_correction_count", "integer" },
          { "spellcheck_corrected_text_storage_id", "id" },
          { "spellcheck_metrics", "json" },
          { "spellcheck_error_detail", "json" },
        },
      },
      { name = "result_link", rule = "first", columns = { { "result_batch_id", "id" } } },
      {
        name = "first_result",
        rule = "min",
        columns = { { "first_result_at", "timestamp" } },
      },
    },
  },
  {
    -- One row per distinct outcome of a phase in a run. A repeated outcome is the same row, with
    -- the time of its earliest copy. Queries derive the state of each essay from it.
    name = "phase_outcomes",
    key = { { "batch_id", "text" }, { "phase_name", "text" }, { "content_id", "content" } },
    content = "outcome",
    groups = {
      {
        name = "outcome",
        rule = "first",
        columns = {
          { "correlation_id", "id" },
          { "phase_status", "text" },
          { "result_status", "batch_result_status" },
          { "processed_ids", "id[]" },
          { "failed_ids", "id[]" },
        },
      },
    },
  },
  {
    -- One row per distinct comparative judgement. Lists are parallel: one item per student essay.
    name = "assessments",
    key = { { "batch_id", "text" }, { "content_id", "content" } },
    content = "judgement",
    groups = {
      {
        name = "judgement",
        rule = "first",
        columns = {
          { "essay_ids", "id[]" },
          { "ranks", "integer[]" },
          { "scores", "double[]" },
          { "statuses", "text[]" },
          { "comparison_count", "integer" },
          { "job_id", "id" },
          -- the current release only
          { "letter_grades", "text[]" },
          { "confidence_scores", "double[]" },
          { "confidence_labels", "text[]" },
          { "processing_duration_s", "double" },
        },
      },
      -- from the envelope, so not part of the content
      { name = "run", rule = "first", columns = { { "correlation_id", "id" } } },
      { name = "restated", rule = "latest", columns = {} },
    },
  },
}
