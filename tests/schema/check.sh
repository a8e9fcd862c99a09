#!/usr/bin/env bash
# Proof of the schema generator: what schema_ddl() emits for the fixture, run by an ordinary role on an empty database, gives a database that
# pg_dump cannot tell from the source.
#
#   usage: check.sh [PG_BINDIR]          psql and pg_dump are taken from there, or from PATH
#
#   SOURCE       conninfo of a superuser on the source server             (default: "dbname=postgres")
#   DESTINATION  conninfo of a superuser on the destination server        (default: $SOURCE)
#   KEEP         when set, the databases and the working directory stay for a look
#
# Story:
#   1. load the fixture on the source; ask for every table but one; compare schema_omissions() with omissions.expected
#   2. on the empty destination every present_sql answers false, although no schema, type or table of it exists
#   3. every statement whose present_sql is still false at its turn runs, one by one, under a role that is no superuser and owns the database
#   4. every present_sql answers true, and no differs_sql finds a difference
#   5. a selection that cuts trees apart (partitions and children without their parents, foreign keys to unselected tables) gives tables
#      with the same columns, keys, checks and indexes
#   6. the source loses by hand what the omissions announced (left_out.sql); then both dumps, cut into statements and sorted, are equal
# Between different majors step 6 is left out, because the catalogs differ by themselves.
#
# Exit status: 0 equal, 1 a difference or a failed statement (printed), 2 could not be set up.

set -u -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=${1:+$1/}
source=${SOURCE:-dbname=postgres}
destination=${DESTINATION:-$source}
name=courier_schema_check
owner=courier_schema_owner
work=$(mktemp -d "${TMPDIR:-/tmp}/courier_schema.XXXXXX") || exit 2

export PGCLIENTENCODING=UTF8 PGOPTIONS='-c client_min_messages=warning'

setup_failed() { echo "check.sh: $*" >&2; exit 2; }
differs()      { echo "check.sh: $*" >&2; exit 1; }

run()   { "${bin}psql" -X -q -v ON_ERROR_STOP=1 "$@"; }
on_source()      { run -d "$source dbname=${name}_source" "$@"; }
on_destination() { run -d "$destination dbname=${name}_destination" "$@"; }

drop_all() {
    run -d "$source" -c "DROP DATABASE IF EXISTS ${name}_source"
    run -d "$destination" -c "DROP DATABASE IF EXISTS ${name}_destination" -c "DROP DATABASE IF EXISTS ${name}_partial" \
        -c "DROP ROLE IF EXISTS $owner"
}

finish() {
    status=$?
    if [ -n "${KEEP:-}" ]; then
        echo "check.sh: kept ${name}_source, ${name}_destination, ${name}_partial and $work" >&2
    else
        drop_all >/dev/null 2>&1
        rm -rf "$work"
    fi
    exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

major() { echo $(($(run -At -d "$1" -c 'SHOW server_version_num') / 10000)); }

# ---- 1. the source -------------------------------------------------------------------------------------------------------------
drop_all || setup_failed "could not drop the databases of an earlier run"
run -d "$source" -c "CREATE DATABASE ${name}_source TEMPLATE template0 ENCODING 'UTF8'" || setup_failed "could not create the source database"
on_source -f "$here/fixture.sql" > "$work/fixture.log" 2>&1 || { cat "$work/fixture.log" >&2; setup_failed "could not load the fixture"; }
on_source -c 'CREATE EXTENSION pg_courier' || setup_failed "could not create the extension"

# Everything but the table the fixture leaves unselected; the generator itself skips what is not its own.
selected="ARRAY(SELECT oid FROM pg_class WHERE oid >= 16384 AND oid <> 'left_out.not_selected'::regclass AND relkind IN ('r', 'p'))"

# The way a caller runs it: ask first, so a present_sql that is true too early leaves its statement out and shows in the dumps.
on_source -At -c "SELECT present_sql || E' AS present \\\\gset\n\\\\if :present\n\\\\else\n' || statement || E'\n;\n\\\\endif'
                  FROM courier.schema_ddl($selected, true) ORDER BY ordinal" > "$work/statements.sql" || differs "schema_ddl() failed"
on_source -At -c "SELECT 'SELECT (' || present_sql || ')::text || ' || quote_literal(format(' %s %s %s', ordinal, kind, object)) || ';'
                  FROM courier.schema_ddl($selected, true)
                  WHERE (kind, object) <> ('schema', 'public') ORDER BY ordinal" > "$work/probes.sql" || differs "schema_ddl() failed"
on_source -At -c "SELECT 'SELECT ' || quote_literal(format('%s %s %s: ', ordinal, kind, object)) || ' || d FROM (' || differs_sql || ') AS d (d) WHERE d IS NOT NULL;'
                  FROM courier.schema_ddl($selected, true) WHERE differs_sql IS NOT NULL ORDER BY ordinal" > "$work/differs.sql" || differs "schema_ddl() failed"
on_source -At -F ' | ' -c "SELECT kind, object, relid::regclass, reason FROM courier.schema_omissions($selected) ORDER BY 1, 2, 4" > "$work/omissions" ||
    differs "schema_omissions() failed"
diff -u "$here/omissions.expected" "$work/omissions" || differs "the list of omissions is not the expected one"

# ---- 2. nothing is there, and asking does not fail -------------------------------------------------------------------------------
run -d "$destination" -c "CREATE ROLE $owner" -c "CREATE DATABASE ${name}_destination TEMPLATE template0 ENCODING 'UTF8' OWNER $owner" ||
    setup_failed "could not create the destination database"
probe() {
    { echo "SET SESSION AUTHORIZATION $owner; SET search_path = nowhere;"; cat "$work/probes.sql"; } |
        on_destination -At -f - > "$work/probed" || differs "a present_sql failed $1"
    [ "$(grep -cE '^(true|false) ' "$work/probed")" = "$(grep -c '^SELECT (' "$work/probes.sql")" ] || differs "a present_sql gave no answer $1"
}
probe "on the empty database"
! grep '^true ' "$work/probed" || differs "present_sql is true before anything was created"

# ---- 3. every statement, as an ordinary role -------------------------------------------------------------------------------------
{ echo "SET SESSION AUTHORIZATION $owner;"; cat "$work/statements.sql"; } | on_destination -f - || differs "a statement failed"

# ---- 4. everything is there ------------------------------------------------------------------------------------------------------
probe "after the first run"
! grep '^false ' "$work/probed" || differs "present_sql is false for what was created"

{ echo "SET SESSION AUTHORIZATION $owner; SET search_path = pg_catalog;"; cat "$work/differs.sql"; } | on_destination -At -f - > "$work/different" ||
    differs "a differs_sql failed"
! grep '' "$work/different" || differs "differs_sql finds a difference in what was created"

count=$(grep -c '^true ' "$work/probed")

# ---- 5. a partial selection -----------------------------------------------------------------------------------------------------
partial="ARRAY['sales.\"Events 2023 rest\"', 'sales.events_2024_1', 'sales.events_2023', 'sales.events_2023_sad', 'sales.child', 'sales.grandchild',
               'sales.generated_merged', 'sales.refers', 'sales.egg', 'sales.by_expression_1']::regclass[]::oid[]"
on_source -At -c "SELECT statement || E'\n;' FROM courier.schema_ddl($partial) ORDER BY ordinal" > "$work/partial.sql" || differs "schema_ddl() failed"
run -d "$destination" -c "CREATE DATABASE ${name}_partial TEMPLATE template0 ENCODING 'UTF8' OWNER $owner" ||
    setup_failed "could not create the second destination database"
{ echo "SET SESSION AUTHORIZATION $owner;"; cat "$work/partial.sql"; } | run -d "$destination dbname=${name}_partial" -f - ||
    differs "a statement of the partial selection failed"
# What a table is by itself; the catalogs of different majors name not null constraints differently.
cat > "$work/tables.sql" <<'QUERY'
SET search_path = pg_catalog;
SELECT a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated, pg_get_expr(d.adbin, d.adrelid)
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = ANY (:selection) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid::regclass::text, a.attname;
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = ANY (:selection) AND contype IN ('c', 'p', 'u', 'x') ORDER BY conrelid::regclass::text, conname;
SELECT replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') FROM pg_index WHERE indrelid = ANY (:selection) ORDER BY 1;
QUERY
on_source -At -v selection="$partial" -f "$work/tables.sql" > "$work/partial.source" || setup_failed "could not read the source's catalogs"
run -d "$destination dbname=${name}_partial" -At -v selection="$partial" -f "$work/tables.sql" > "$work/partial.destination" ||
    differs "a table of the partial selection is missing"
diff -u "$work/partial.source" "$work/partial.destination" || differs "the partial selection differs (- source, + destination)"

# ---- 6. the dumps ----------------------------------------------------------------------------------------------------------------
if [ "$(major "$source")" != "$(major "$destination")" ]; then
    echo "schema: $count statements applied, present_sql false before and true after (different majors, dumps not compared)"
    exit 0
fi

# One line for each entry of a dump, sorted: the order of equal kinds of object can depend on their oids.
entries() {
    awk '/^--/ { if (entry != "") print entry; entry = ""; next }
         /^$/ || /^SET / || /^SELECT pg_catalog.set_config/ || /^\\(un)?restrict / { next }
         { entry = entry (entry == "" ? "" : "\001") $0 }
         END { if (entry != "") print entry }' | LC_ALL=C sort | tr '\001' '\n'
}
on_source -f "$here/left_out.sql" || setup_failed "could not remove the omitted objects from the source"
on_source -c 'DROP EXTENSION pg_courier CASCADE; DROP SCHEMA IF EXISTS courier' || setup_failed "could not remove the extension from the source"
"${bin}pg_dump" -s -O -d "$source dbname=${name}_source" > "$work/source.dump" || setup_failed "pg_dump of the source failed"
"${bin}pg_dump" -s -O -d "$destination dbname=${name}_destination" > "$work/destination.dump" || setup_failed "pg_dump of the destination failed"
entries < "$work/source.dump" > "$work/source.sorted"
entries < "$work/destination.dump" > "$work/destination.sorted"
diff -u "$work/source.sorted" "$work/destination.sorted" || differs "the schemas differ (- source, + destination)"
echo "schema: $count statements applied, present_sql false before and true after, pg_dump equal ($(wc -l < "$work/source.sorted") lines)"
