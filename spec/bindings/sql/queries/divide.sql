SELECT 1 / :divisor::int4 AS result
