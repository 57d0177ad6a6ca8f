-- What the relay of the outbox reads has an index in its order: settled messages by the age of their fact.
CREATE INDEX IF NOT EXISTS outbox_settled ON aggregator_state.outbox (least(fact_at, created_at))
  WHERE state = 'settled';
