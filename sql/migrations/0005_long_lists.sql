-- A query reads a GIN index' list of pending entries from end to end, once for each essay: up to four
-- megabytes, which the index collects before it sorts them in. Under load an answer took a hundred
-- times as long. Sorted in at once they cost the commit little: few events carry lists.
ALTER INDEX batch_results_by_essay SET (fastupdate = off);
ALTER INDEX phase_outcomes_by_essay SET (fastupdate = off);
ALTER INDEX assessments_by_essay SET (fastupdate = off);
SELECT gin_clean_pending_list(index) FROM unnest('{batch_results_by_essay,phase_outcomes_by_essay,
  assessments_by_essay}'::regclass[]) AS index;

-- Without the functions that the earlier text had: they are in sql/functions.
-- replaces e325670d609e6c158dc77c745cd136e14a899242d6261f91ad6007d1fea0ff39
