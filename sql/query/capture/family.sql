-- The topmost ancestors of a table, itself if it has no parent. $1: its oid.
WITH RECURSIVE above (oid) AS (
    SELECT $1::oid
    UNION
    SELECT h.inhparent FROM above a JOIN pg_inherits h ON h.inhrelid = a.oid
)
SELECT a.oid FROM above a WHERE NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = a.oid) ORDER BY a.oid
