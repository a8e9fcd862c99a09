-- The snapshot that the rest of a row was read under.
SELECT pg_current_snapshot()::text
