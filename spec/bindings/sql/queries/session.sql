SELECT pg_backend_pid() AS pid, txid_current_if_assigned() IS NOT NULL AS writing
