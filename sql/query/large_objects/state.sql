-- What large objects hold, whose they are, and who may do what with them. Runs on both sides. `bytes` and `hash` (of the hashes of their
-- megabytes) are null where the session's user may not read; `grants`: JSON, [role, or null for PUBLIC; privilege; with grant option] for each.
-- $1: oids.
SELECT m.oid AS loid, s.bytes, pg_catalog.pg_get_userbyid(m.lomowner) AS owner,
       (SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.string_agg(
                   pg_catalog.sha256(pg_catalog.lo_get(m.oid, c.n OPERATOR(pg_catalog.*) 1048576, 1048576)), ''::pg_catalog.bytea ORDER BY c.n)), 'hex')
          FROM pg_catalog.generate_series(0::pg_catalog.int8, (s.bytes OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog./) 1048576) AS c(n)) AS hash,
       COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
                            CASE WHEN g.grantee OPERATOR(pg_catalog.<>) 0::pg_catalog.oid THEN pg_catalog.pg_get_userbyid(g.grantee) END, g.privilege_type, g.is_grantable))
                   FROM pg_catalog.aclexplode(m.lomacl) g WHERE g.grantee OPERATOR(pg_catalog.<>) m.lomowner), '[]') AS grants
FROM pg_catalog.pg_largeobject_metadata m
CROSS JOIN LATERAL (
    SELECT pg_catalog.pg_has_role(m.lomowner, 'USAGE')
           OR pg_catalog.current_setting('lo_compat_privileges') OPERATOR(pg_catalog.=) 'on'
           OR EXISTS (SELECT FROM pg_catalog.aclexplode(m.lomacl) g
                      WHERE g.privilege_type OPERATOR(pg_catalog.=) 'SELECT'
                        AND CASE WHEN g.grantee OPERATOR(pg_catalog.=) 0::pg_catalog.oid THEN true
                                 ELSE pg_catalog.pg_has_role(g.grantee, 'USAGE') END) AS may_read
    OFFSET 0
) r
CROSS JOIN LATERAL (
    -- Opened for reading, its end looked for, and closed: what is open is searched through by whoever opens the next.
    SELECT e.bytes, pg_catalog.lo_close(CASE WHEN e.bytes OPERATOR(pg_catalog.>=) 0 THEN e.descriptor END) AS closed
      FROM (SELECT f.descriptor, pg_catalog.lo_lseek64(f.descriptor, 0::pg_catalog.int8, 2) AS bytes
              FROM (SELECT CASE WHEN r.may_read THEN pg_catalog.lo_open(m.oid, 262144) END AS descriptor OFFSET 0) f OFFSET 0) e
    OFFSET 0
) s
WHERE m.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[])
ORDER BY m.oid
