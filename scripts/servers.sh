#!/bin/sh
# PostgreSQL servers of other majors to test with, complete: programs, contrib modules, headers, pg_config.
#
#   servers.sh MAJOR...       prints for each: major and pg_config, separated by a tab
#
# A major that is installed under /usr/lib/postgresql with its headers is taken as it is. Any other is built once, from
# the source package of the Debian or Ubuntu release that has it, into $COURIER_CACHE (default: pg_courier-servers in
# the temporary directory; servers run under an account of their own, which has to get there). Nothing is installed
# into the system: apt works with lists and keys inside the cache. Needs apt, what `make prereqs` installs,
# bison, flex, libicu-dev and libxml2-dev. A build takes two to four minutes; delete the cache to get newer minors.
#
# Where the archives are is what this machine's apt knows: another release of the archive that it installs from. For the
# other distribution, or another mirror, say it:
#
#   DEBIAN_ARCHIVE, DEBIAN_SECURITY_ARCHIVE, UBUNTU_ARCHIVE    addresses as in sources.list
set -eu

cache=${COURIER_CACHE:-${TMPDIR:-/tmp}/pg_courier-servers}

say() { printf 'servers: %s\n' "$*" >&2; }

# configured LABEL: the address of the archive with that label (Debian, Debian-Security, Ubuntu) in apt's configuration.
configured() {
    apt-get indextargets --format '$(LABEL)|$(COMPONENT)|$(REPO_URI)' 2>/dev/null | sed -n "s/^$1|main|//p" | head -n 1
}

# archive MAJOR: where the newest minor of a major is: distribution, address, release and component.
archive() {
    case $1 in
    13) set -- debian "${DEBIAN_SECURITY_ARCHIVE:-$(configured Debian-Security)}" DEBIAN_SECURITY_ARCHIVE bullseye-security ;;
    14) set -- ubuntu "${UBUNTU_ARCHIVE:-$(configured Ubuntu)}" UBUNTU_ARCHIVE jammy-updates ;;
    15) set -- debian "${DEBIAN_ARCHIVE:-$(configured Debian)}" DEBIAN_ARCHIVE bookworm ;;
    16) set -- ubuntu "${UBUNTU_ARCHIVE:-$(configured Ubuntu)}" UBUNTU_ARCHIVE noble-updates ;;
    17) set -- debian "${DEBIAN_ARCHIVE:-$(configured Debian)}" DEBIAN_ARCHIVE trixie ;;
    18) set -- debian "${DEBIAN_ARCHIVE:-$(configured Debian)}" DEBIAN_ARCHIVE sid ;;
    *) say "no archive is known for PostgreSQL $1" && return 1 ;;
    esac
    if [ -z "$2" ]; then
        say "the sources are in release $4 of $1, and apt knows no archive of $1 here: set $3 to its address"
        return 1
    fi
    echo "$1 $2 $4 main"
}

# apt with a root of its own below the cache: private_apt NAME COMMAND...
private_apt() {
    root=$cache/apt/$1 && shift
    mkdir -p "$root/lists/partial" "$root/archives/partial"
    "$@" -qq -o Dir::Etc::SourceList="$root/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$root/lists" \
        -o Dir::Cache="$root" -o Dir::Cache::Archives="$root/archives" -o Debug::NoLocking=1 \
        -o APT::Sandbox::User= -o Acquire::Languages=none
}

# keyring DISTRIBUTION: where its keys are. Each distribution has the other's in a package that it signs itself; Debian from
# trixie on.
keyring() {
    keys=usr/share/keyrings/$1-archive-keyring.gpg
    for root in / "$cache/keys/"; do
        [ -e "$root$keys" ] && echo "$root$keys" && return
    done
    mkdir -p "$cache/keys" "$cache/apt/keys"
    (
        cd "$cache/keys" || exit 1
        for package in "$1-archive-keyring" "$1-keyring"; do
            apt-get download -qq "$package" >&2 2>/dev/null && break
        done
        if ! ls ./*.deb >/dev/null 2>&1 && [ "$1" = ubuntu ]; then
            debian=${DEBIAN_ARCHIVE:-$(configured Debian)}
            echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $debian trixie main" >"$cache/apt/keys/sources.list"
            private_apt keys apt-get update >&2 && private_apt keys apt-get download ubuntu-keyring >&2
        fi
        for package in ./*.deb; do dpkg -x "$package" . && rm "$package"; done
    ) && [ -e "$cache/keys/$keys" ] && echo "$cache/keys/$keys" && return
    say "the keys of $1 are in no package that can be had here: install its archive keyring"
    return 1
}

# fetch MAJOR DIRECTORY: unpacks the sources there.
fetch() {
    where=$(archive "$1") && keys=$(keyring "${where%% *}") || return 1
    mkdir -p "$cache/apt/$1" "$2"
    echo "deb-src [signed-by=$keys] ${where#* }" >"$cache/apt/$1/sources.list"
    private_apt "$1" apt-get update >&2
    (cd "$2" && private_apt "$1" apt-get source --download-only --tar-only "postgresql-$1" >&2)
    tar -C "$2" --strip-components=1 -xf "$2"/postgresql-*.orig.tar.*[!c] ||
        { say "apt could not get the sources of PostgreSQL $1 from ${where#* }" && return 1; }
}

# build MAJOR PREFIX: the server, its clients, and the contrib modules that tests use.
build() {
    for tool in apt-get dpkg gcc make bison flex perl; do
        command -v "$tool" >/dev/null || { say "building PostgreSQL $1 needs $tool" && return 1; }
    done
    for library in icu-i18n libssl libxml-2.0; do
        pkg-config --exists "$library" || { say "building PostgreSQL $1 needs the headers of $library" && return 1; }
    done
    work=$cache/build-$1
    rm -rf "$work"
    say "building PostgreSQL $1 in $work"
    fetch "$1" "$work" || return 1
    (
        cd "$work" || exit 1
        # Below another make the server's own would leave out what comes first.
        unset MAKELEVEL MAKEFLAGS MFLAGS
        exec >"$cache/build-$1.log" 2>&1
        ./configure --prefix="$2" --with-icu --with-libxml --with-openssl --without-readline \
            --without-zlib CFLAGS="-O2 -g0" || exit 1
        make -s -j"$(nproc)" && make -s install DESTDIR="$work/stage" || exit 1
        for module in auto_explain btree_gist citext cube file_fdw hstore pageinspect pg_trgm postgres_fdw test_decoding; do
            make -s -j"$(nproc)" -C "contrib/$module" install DESTDIR="$work/stage" || exit 1
        done
        chmod -R go+rX stage
    ) || { say "the build failed; see $cache/build-$1.log" && return 1; }
    rm -rf "$2"
    mv "$work/stage$2" "$2" # complete or not there at all
    rm -rf "$work" "$cache/apt/$1"
}

# What an earlier version of this script built may lack what the tests use now.
is_complete() {
    [ -x "$1" ] && "$1" --configure | grep -q -e --with-icu && [ -e "$("$1" --pkglibdir)/auto_explain.so" ]
}

for major; do
    pg_config=/usr/lib/postgresql/$major/bin/pg_config
    if ! [ -x "${pg_config%/*}/postgres" ] || ! [ -f "$("$pg_config" --includedir-server)/postgres.h" ]; then
        mkdir -p "$cache"
        pg_config=$cache/server-$major/bin/pg_config
        is_complete "$pg_config" || build "$major" "$cache/server-$major"
    fi
    printf '%s\t%s\n' "$major" "$pg_config"
done
