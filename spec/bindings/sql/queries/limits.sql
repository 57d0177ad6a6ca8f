SELECT (extract(epoch FROM current_setting('statement_timeout')::interval) * 1000)::int AS statement_ms
