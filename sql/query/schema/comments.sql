-- Comments on what a user made.
SELECT d.classoid, d.objoid, d.objsubid, d.description
  FROM pg_description d
 WHERE d.classoid IN ('pg_class'::regclass, 'pg_type'::regclass, 'pg_constraint'::regclass, 'pg_collation'::regclass, 'pg_trigger'::regclass,
                      'pg_policy'::regclass, 'pg_statistic_ext'::regclass)
   AND d.objoid >= 16384
    OR d.classoid = 'pg_namespace'::regclass
