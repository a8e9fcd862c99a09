-- Triggers of tables that a user made: no key or foreign key made them. The parent is that of a partition's copy, which comes with the
-- partitioned table's. $1: oids of the tables.
SELECT g.tgrelid, g.oid, g.tgname, pg_get_triggerdef(g.oid) AS definition, g.tgenabled, p.tgrelid AS parent_table, p.tgenabled AS parent_enabled
  FROM unnest($1::oid[]) AS t (oid)
  JOIN pg_trigger g ON g.tgrelid = t.oid
  LEFT JOIN pg_constraint k ON k.oid = g.tgconstraint
  LEFT JOIN pg_trigger p ON p.oid = g.tgparentid
 WHERE k.oid IS NULL OR k.contype = 't'
 ORDER BY g.tgrelid, g.tgname COLLATE "C"
