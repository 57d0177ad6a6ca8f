-- What the relay of the outbox reads has an index in its order: settled messages by the age of their fact,
-- and the pending ones of each topic.
CREATE INDEX IF NOT EXISTS outbox_settled ON aggregator_state.outbox (least(fact_at, created_at))
  WHERE state = 'settled';
CREATE INDEX IF NOT EXISTS outbox_pending_of_topic ON aggregator_state.outbox (topic, id)
  WHERE state = 'pending';
