-- The answer for one batch; no row where it is not registered.
SELECT body, tags FROM batch_answer(:batch_id::text)
