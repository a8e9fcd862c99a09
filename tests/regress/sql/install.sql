-- The extension installs, every object says what it is for, and it goes without a trace.
CREATE EXTENSION pg_courier;
SELECT extname, extversion = (SELECT default_version FROM pg_available_extensions WHERE name = 'pg_courier') AS newest,
       nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'pg_courier';

-- The columns that programs may rely on.
SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
 WHERE attrelid = 'courier.tasks'::regclass AND attnum > 0 ORDER BY attnum;
SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
 WHERE attrelid = 'courier.progress'::regclass AND attnum > 0 ORDER BY attnum;

-- The functions that users call.
SELECT p.proname, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result
  FROM pg_proc p WHERE p.pronamespace = 'courier'::regnamespace
   AND p.proname IN ('create_task', 'drop_task', 'pause', 'plan', 'resume', 'start', 'test_connection', 'verify', 'wait_for')
 ORDER BY 1, 2;

-- Without a comment: none.
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'courier'::regnamespace AND c.relkind IN ('r', 'v', 'S')
   AND obj_description(c.oid, 'pg_class') IS NULL AND c.relkind <> 'S' ORDER BY 1;
SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'courier'::regnamespace
   AND obj_description(p.oid, 'pg_proc') IS NULL ORDER BY 1;
SELECT a.attrelid::regclass, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'courier'::regnamespace AND c.relkind = 'v' AND a.attnum > 0 AND col_description(c.oid, a.attnum) IS NULL
   AND obj_description(c.oid, 'pg_class') NOT LIKE 'Internal:%' ORDER BY 1, 2;

-- Every function of the extension that runs with its owner's rights has a search_path of its own.
SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'courier'::regnamespace AND p.prosecdef
   AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c LIKE 'search_path=%') ORDER BY 1;

SELECT * FROM courier.tasks;
SELECT * FROM courier.progress;
DROP EXTENSION pg_courier;
SELECT count(*) AS left_behind FROM pg_class WHERE relnamespace = 'courier'::regnamespace;
CREATE EXTENSION pg_courier;
