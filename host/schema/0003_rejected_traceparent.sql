-- The trace of the event, as version 00 of W3C Trace Context: what a retry publishes belongs to it.
-- NULL: its record had none, or a release before this column rejected it.
ALTER TABLE aggregator_state.rejected_events ADD COLUMN IF NOT EXISTS traceparent text;
