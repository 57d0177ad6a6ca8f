SELECT pg_sleep(:seconds::float8)
