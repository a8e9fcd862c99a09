#!/bin/sh
# cargo deny: which licences and sources the dependencies may have, and what is publicly known against them (deny.toml).
# Installs the program where it is missing.
#
#   scripts/deny.sh               all of it; where the list of advisories cannot be fetched it says so and goes on
#   scripts/deny.sh advisories    advisories alone; no list is an error
set -eu
cd "$(dirname "$0")/.."
version=0.20.2

if ! cargo deny --version >/dev/null 2>&1; then
    echo "deny: installing cargo-deny $version" >&2
    # Elsewhere, for the C compiler's flags of this project are not meant for it; unoptimized, for it runs for a moment.
    (cd / && cargo install --quiet --locked --debug cargo-deny --version "$version")
fi
if [ $# -gt 0 ]; then
    exec cargo deny --log-level warn check "$@"
fi
cargo deny --log-level warn check licenses sources bans
# Two steps: a network that is not there is no finding, and a finding is not taken for one.
if cargo deny --log-level off fetch db 2>/dev/null; then
    cargo deny --log-level warn --offline check advisories
else
    echo "deny: the list of advisories could not be fetched: NOT CHECKED (make audit, where there is a network)" >&2
fi
