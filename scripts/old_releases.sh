#!/bin/sh
# Builds released versions of the extension to upgrade from, once: DIRECTORY/VERSION has the library and the SQL files.
#
#   scripts/old_releases.sh PG_CONFIG DIRECTORY
#
# tests/upgrade/releases.txt says which commit each was released from, so the history has to be here.
set -eu
cd "$(dirname "$0")/.."
pg_config=$1
mkdir -p "$2"
directory=$(cd "$2" && pwd)

sed '/^ *\(#\|$\)/d' tests/upgrade/releases.txt | while read -r version commit; do
    to=$directory/$version
    [ -e "$to/pg_courier.so" ] && continue
    if ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
        # An archive of the sources, or a clone without history: the tests of upgrades say that they do not run.
        echo "old_releases: version $version is not built, its commit $commit is not here (git fetch --unshallow)" >&2
        continue
    fi
    echo "old_releases: building $version" >&2
    rm -rf "$to" && mkdir -p "$to/source"
    git archive "$commit" | tar -x -C "$to/source"
    # Nobody measures it: quick to build is what counts.
    (
        unset MAKEFLAGS MAKEOVERRIDES MAKELEVEL MFLAGS
        export CARGO_TARGET_DIR="$to/target" CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
            CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=0
        make -s -C "$to/source" build PG_CONFIG="$pg_config" </dev/null >"$to/build.log" 2>&1 ||
            { tail -n 30 "$to/build.log" >&2 && exit 1; }
    ) || exit 1
    cp "$to/source/pg_courier.control" "$to"/target/pg_courier--*.sql "$to/"
    mv "$to/target/release/libpg_courier.so" "$to/pg_courier.so"
    rm -rf "$to/source" "$to/target"
done
