-- Extended statistics of tables. Kinds, columns and expressions are in the definition; the target is not. $1: oids of the tables.
SELECT s.stxrelid, s.oid, n.nspname, s.stxname, pg_get_statisticsobjdef(s.oid) AS definition,
       CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget END AS stxstattarget
  FROM unnest($1::oid[]) AS t (oid)
  JOIN pg_statistic_ext s ON s.stxrelid = t.oid
  JOIN pg_namespace n ON n.oid = s.stxnamespace
 ORDER BY s.stxrelid, s.oid
