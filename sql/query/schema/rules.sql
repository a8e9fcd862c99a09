-- Rules of relations, without those that make views. $1: oids of the relations.
SELECT w.ev_class, w.oid, w.rulename, rtrim(pg_get_ruledef(w.oid), ';') AS definition, w.ev_enabled
  FROM unnest($1::oid[]) AS t (oid)
  JOIN pg_rewrite w ON w.ev_class = t.oid AND w.rulename <> '_RETURN'
 ORDER BY w.ev_class, w.rulename COLLATE "C"
