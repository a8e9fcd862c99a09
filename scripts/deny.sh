#!/bin/sh
# cargo deny: which licences and sources the dependencies may have (deny.toml). Installs the program where it is missing.
#
#   scripts/deny.sh               licences, sources, bans; without the network
#   scripts/deny.sh advisories    what is publicly known against them; fetches the list
set -eu
cd "$(dirname "$0")/.."
version=0.20.2

if ! cargo deny --version >/dev/null 2>&1; then
    echo "deny: installing cargo-deny $version" >&2
    # Elsewhere, for the C compiler's flags of this project are not meant for it; unoptimized, for it runs for a moment.
    (cd / && cargo install --quiet --locked --debug cargo-deny --version "$version")
fi
if [ $# -eq 0 ]; then set -- licenses sources bans; fi
exec cargo deny --log-level warn check "$@"
