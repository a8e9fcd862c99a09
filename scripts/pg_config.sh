#!/bin/sh
# Prints the pg_config to build against when the user names none: PostgreSQL 15
# where Debian and Ubuntu put it, else the newest that has server headers, else
# whatever is in PATH.
for major in 15 18 17 16 14 13; do
    candidate=/usr/lib/postgresql/$major/bin/pg_config
    if [ -x "$candidate" ] && [ -f "$("$candidate" --includedir-server)/postgres.h" ]; then
        echo "$candidate"
        exit 0
    fi
done
command -v pg_config || echo pg_config
