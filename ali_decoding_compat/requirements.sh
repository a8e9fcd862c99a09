#!/bin/sh
# Says what a library asks of the machine: the highest glibc symbol version, and other libraries.
# Fails if it asks for more than the archive promises, which is nothing.
set -eu

highest=$(objdump -T "$1" | sed -n 's/.*(\{0,1\}GLIBC_\([0-9.]*\).*/\1/p' | sort -V | tail -n 1)
needed=$(objdump -p "$1" | sed -n 's/^ *NEEDED *//p' | tr '\n' ' ')
echo "highest GLIBC symbol version needed: ${highest:-none (no versioned symbols)}"
echo "libraries needed: ${needed:-none (symbols come from the server and what it has loaded)}"
[ -z "$highest$needed" ]
