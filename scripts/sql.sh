#!/bin/sh
# Puts the scripts for CREATE EXTENSION and ALTER EXTENSION UPDATE together: many files for people, one for the server.
#
#   scripts/sql.sh VERSION DIRECTORY    writes pg_courier--VERSION.sql, and pg_courier--OLD--VERSION.sql for each older version
#
# An upgrade is one step from any version: the look around of sql/trusted.sql, what sql/upgrade/before.sql takes away, the changes of the
# tables from version to version (sql/upgrade/A--B.sql), the files of sql/files.txt behind the tables, what sql/upgrade/after.sql gives back.
set -eu
cd "$(dirname "$0")/.."
version=$1
directory=$2

files=$(sed '/^ *\(#\|$\)/d' sql/files.txt)
trusted=sql/trusted.sql
code=$(echo "$files" | grep -vx -e "$trusted" -e sql/tables.sql)

# write NAME COMMAND FILE...: one script; the server gets it whole or not at all.
write() {
    name=$1 command=$2 && shift 2
    {
        # Not echo: some shells take \e in its words for an escape character.
        printf '%s\n' "-- $name. Put together by scripts/sql.sh." "\\echo Use \"$command\" to load this file. \\quit"
        for file; do echo && cat "$file"; done
    } >"$directory/$name.tmp"
    mv "$directory/$name.tmp" "$directory/$name"
}

mkdir -p "$directory"
rm -f "$directory"/pg_courier--*.sql
# shellcheck disable=SC2086 # lists of words
write "pg_courier--$version.sql" 'CREATE EXTENSION pg_courier' $files

# From the newest step back to the oldest: each adds itself before those that follow.
to=$version steps=
while step=$(ls sql/upgrade/*--"$to".sql 2>/dev/null) && [ -n "$step" ]; do
    from=$(basename "$step" .sql) && from=${from%--*}
    steps="$step $steps"
    # shellcheck disable=SC2086
    write "pg_courier--$from--$version.sql" "ALTER EXTENSION pg_courier UPDATE" "$trusted" sql/upgrade/before.sql $steps $code sql/upgrade/after.sql
    to=$from
done
