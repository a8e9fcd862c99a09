#!/bin/sh
# Puts ali_decoding into a PostgreSQL installation. Nothing is compiled; the server need not be restarted.
#
#   ./install.sh /path/to/pg_config
#
# Without pg_config (it is in a -devel or -dev package), name the two directories instead:
#
#   PKGLIBDIR=/usr/pgsql-9.6/lib SHAREDIR=/usr/pgsql-9.6/share ./install.sh
#
# DESTDIR is put before both. Works with the shells and tools of RHEL 6.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
pg_config=${1:-${PG_CONFIG:-}}
if [ -n "$pg_config" ]; then
    PKGLIBDIR=$("$pg_config" --pkglibdir)
    SHAREDIR=$("$pg_config" --sharedir)
fi
if [ -z "${PKGLIBDIR:-}" ] || [ -z "${SHAREDIR:-}" ]; then
    echo "usage: $0 PG_CONFIG      or: PKGLIBDIR=... SHAREDIR=... $0" >&2
    exit 2
fi
PKGLIBDIR=${DESTDIR:-}$PKGLIBDIR
SHAREDIR=${DESTDIR:-}$SHAREDIR

if [ "$(uname -s)" != Linux ] || [ "$(uname -m)" != "$(cat "$here/ARCHITECTURE")" ]; then
    echo "$0: this archive is for Linux on $(cat "$here/ARCHITECTURE"), not $(uname -s) on $(uname -m)" >&2
    exit 1
fi
if command -v sha256sum >/dev/null 2>&1; then
    (cd "$here" && sha256sum -c SHA256SUMS >/dev/null) || {
        echo "$0: a file differs from SHA256SUMS; nothing was installed" >&2
        exit 1
    }
fi

# A mistyped or guessed directory would be made, and the server would not find the library. Under DESTDIR, where a package
# is made, there is no server.
if [ -z "${DESTDIR:-}" ]; then
    set -- "$PKGLIBDIR"/*.so
    if [ ! -e "$1" ]; then
        echo "$0: $PKGLIBDIR is not the library directory of a server: it holds no .so file; nothing was installed" >&2
        exit 1
    fi
    if [ ! -d "$SHAREDIR/extension" ]; then
        echo "$0: $SHAREDIR is not the share directory of a server: it has no directory extension; nothing was installed" >&2
        exit 1
    fi
fi
mkdir -p "$PKGLIBDIR" "$SHAREDIR/extension"

# Renamed into place: a running server may have the old library mapped, and overwriting it would crash it.
put() {
    cp "$here/$1" "$2/$1.new"
    chmod "$3" "$2/$1.new"
    mv -f "$2/$1.new" "$2/$1"
    echo "installed $2/$1"
}
put ali_decoding.so "$PKGLIBDIR" 755
put ali_decoding.control "$SHAREDIR/extension" 644
put ali_decoding--0.0.1.sql "$SHAREDIR/extension" 644

echo "If the server has the setting output_plugin_libraries, add ali_decoding to it and reload; see INSTALL."
