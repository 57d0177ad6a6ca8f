-- The response for one batch; no row if it is not registered. The subquery is evaluated once, before
-- anything is derived.
SELECT body, tags FROM batch_answer(:batch_id::text) WHERE (SELECT is_answerable(:batch_id::text))
