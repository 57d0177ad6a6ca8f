-- The response for one batch; no row if it is not registered.
SELECT body, tags FROM batch_answer(:batch_id::text)
