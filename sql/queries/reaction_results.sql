-- Batches whose run ended with results. The reaction follows all tables read here: the row of a key
-- changes only with a mark. So the query counts no essays; while the judging has no outcome, the latest
-- judgement has the number of judged essays. Completions of older releases have no run.
SELECT key, user_id, essay_count, run, completed, phases, status, duration_s, judging_s, judged, unjudged, at
FROM ended_runs(:keys::text[])
