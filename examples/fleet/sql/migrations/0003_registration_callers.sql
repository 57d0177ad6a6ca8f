-- Callers choose their Idempotency-Keys by themselves: those of two callers may be equal.
ALTER TABLE registration_requests
  ADD COLUMN caller text NOT NULL DEFAULT '',
  DROP CONSTRAINT registration_requests_pkey,
  ADD PRIMARY KEY (caller, idempotency_key);
