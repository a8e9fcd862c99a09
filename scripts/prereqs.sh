#!/bin/sh
# Makes sure that everything the build and the tests need is installed.
#
# Debian and Ubuntu: installs what is missing as root or through sudo; whoever is
# neither gets the exact command to hand to an administrator, and exit code 1.
# Nothing is done, quickly, when everything is there. A PostgreSQL that is
# installed here does not get a cluster, and one that exists is left alone: builds
# use its headers, tests and demo use a private copy of its programs.
#
#   scripts/prereqs.sh          install what is missing
#   scripts/prereqs.sh --check  only report (exit code 1 when something is missing)
set -eu

check_only=no
[ "${1:-}" = --check ] && check_only=yes

say() { printf 'prereqs: %s\n' "$*" >&2; }

# --- Rust ---------------------------------------------------------------------

if ! command -v cargo >/dev/null 2>&1; then
    say "cargo was not found. Install Rust 1.92 or newer (https://rustup.rs), then run this again."
    exit 1
fi

# --- which PostgreSQL -----------------------------------------------------------

# A PG_CONFIG that the caller chose is the caller's business: only its headers are checked.
has_server() { [ -x "$("$1" --bindir)/postgres" ] && [ -f "$("$1" --includedir-server)/postgres.h" ]; }

postgres_packages() {
    for major in 15 18 17 16 14 13; do
        if has_server "/usr/lib/postgresql/$major/bin/pg_config" 2>/dev/null; then
            return
        fi
    done
    # None is complete: finish one that is half there, else 15, else what the distribution ships.
    for major in 15 18 17 16 14 13; do
        if [ -d "/usr/lib/postgresql/$major" ]; then
            echo "postgresql-$major postgresql-server-dev-$major"
            return
        fi
    done
    major=15
    if command -v apt-cache >/dev/null 2>&1 && [ -z "$(candidate postgresql-15)" ]; then
        major=$(candidate postgresql | sed 's/^\([0-9]*\).*/\1/')
        if [ -z "$major" ]; then # no package lists at all: apt-get update comes first
            echo "postgresql postgresql-server-dev-all"
            return
        fi
    fi
    echo "postgresql-$major postgresql-server-dev-$major"
}

# An end-to-end test lets the real pg_cron call the health check: the package of the server that the tests copy.
cron_package() {
    major=$(postgres_packages | sed -n 's/^postgresql-\([0-9]*\) .*/\1/p')
    if [ -z "$major" ]; then
        major=$("$("$(dirname "$0")/pg_config.sh")" --version 2>/dev/null | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
    fi
    if [ -n "$major" ] && { installed "postgresql-$major-cron" || [ -n "$(candidate "postgresql-$major-cron")" ]; }; then
        echo "postgresql-$major-cron"
    fi
}

candidate() {
    apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p' | grep -v '^(none)$' || true
}

installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }

# --- what is missing ------------------------------------------------------------

if [ -n "${PG_CONFIG:-}" ] && [ "$PG_CONFIG" != pg_config ]; then
    if ! has_server "$PG_CONFIG"; then
        say "PG_CONFIG=$PG_CONFIG has no server or no server headers"
        exit 1
    fi
fi

if ! command -v dpkg-query >/dev/null 2>&1; then
    # Not Debian: say what is needed by the names that are the same everywhere.
    absent=
    for tool in gcc make clang pkg-config openssl pgbouncer localedef; do # the last three for the tests
        command -v "$tool" >/dev/null 2>&1 || absent="$absent $tool"
    done
    if [ -z "${PG_CONFIG:-}" ] && ! { command -v pg_config >/dev/null 2>&1 && has_server pg_config; }; then
        absent="$absent PostgreSQL-13..18-with-server-headers"
    fi
    [ -z "$absent" ] && exit 0
    say "not a Debian or Ubuntu system; please install:$absent, and the headers of libclang and OpenSSL"
    exit 1
fi

find_missing() {
    missing=
    for package in gcc make clang libclang-dev libssl-dev; do
        installed "$package" || missing="$missing $package"
    done
    # End-to-end tests make certificates and a locale, and put a pooler between.
    for package in openssl pgbouncer locales; do
        installed "$package" || missing="$missing $package"
    done
    command -v pkg-config >/dev/null 2>&1 || missing="$missing pkg-config"
    if [ -z "${PG_CONFIG:-}" ] || [ "$PG_CONFIG" = pg_config ]; then
        for package in $(postgres_packages) $(cron_package); do
            installed "$package" || missing="$missing $package"
        done
    fi
    missing=${missing# }
}

find_missing
[ -z "$missing" ] && exit 0

if [ "$check_only" = yes ]; then
    say "missing: $missing"
    exit 1
fi

# --- install --------------------------------------------------------------------

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    as_root=sudo
else
    say "missing packages, and neither root nor sudo to install them. Please run as root:"
    say "    apt-get update && apt-get install -y --no-install-recommends $missing"
    exit 1
fi

say "installing: $missing"
$as_root apt-get update -q >&2
find_missing # the lists may have been empty before

# A package that installs PostgreSQL would create and start a cluster of its own.
case " $missing " in
*" postgresql"*)
    conf=/etc/postgresql-common/createcluster.conf
    if [ ! -e "$conf" ]; then
        $as_root mkdir -p /etc/postgresql-common
        printf '%s\n' "# written before PostgreSQL was installed for building pg_courier" \
            "create_main_cluster = false" | $as_root tee "$conf" >/dev/null
    elif ! grep -q '^ *create_main_cluster *= *false' "$conf"; then
        # The file belongs to the administrator: put the setting beside it instead.
        $as_root mkdir -p /etc/postgresql-common/createcluster.d
        echo "create_main_cluster = false" |
            $as_root tee /etc/postgresql-common/createcluster.d/pg_courier.conf >/dev/null
    fi
    ;;
esac

# shellcheck disable=SC2086 # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends \
    -o Dpkg::Options::=--force-confold $missing >&2

# The tests start a pooler of their own; the service of the package is not wanted.
case " $missing " in
*" pgbouncer "*)
    if command -v systemctl >/dev/null 2>&1; then
        $as_root systemctl disable --now pgbouncer >/dev/null 2>&1 || true
    fi
    ;;
esac

find_missing
if [ -n "$missing" ]; then
    say "still missing after the installation: $missing"
    exit 1
fi
say "done"
