#!/usr/bin/env bash
# Prints the Debian packages of the libraries that a program loads while it runs, as a list of dependencies:
# loaded-packages.sh PROGRAM
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"

list=
while read -r library; do
    path=$(ldconfig -p | awk -v name="$library" '$1 == name && path == "" { path = $NF } END { print path }')
    [ -n "$path" ] || fail "the library $library is not installed, so its package is unknown: run 'make deps' first"
    # The file may be known by its path before or after /usr was merged.
    package=$(dpkg-query -S "$path" 2>/dev/null || dpkg-query -S "${path#/usr}" 2>/dev/null || dpkg-query -S "$(readlink -f "$path")")
    package=${package%%:*}
    [[ " ${list//,/ } " = *" $package "* ]] || list+=${list:+, }$package
done < <(LC_ALL=C grep -aoE 'lib[A-Za-z0-9_]+\.so\.[0-9]+(\.[0-9]+)*' "$1" | sort -u)
printf '%s\n' "$list"
