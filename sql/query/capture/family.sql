-- The ancestors of a table with their parents, and its own. $1: its oid.
WITH RECURSIVE above (oid, parent) AS (
    SELECT h.inhrelid, h.inhparent FROM pg_inherits h WHERE h.inhrelid = $1::oid
    UNION
    SELECT h.inhrelid, h.inhparent FROM above a JOIN pg_inherits h ON h.inhrelid = a.parent
)
SELECT a.oid, a.parent FROM above a ORDER BY a.oid, a.parent
