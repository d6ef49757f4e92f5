#!/usr/bin/env bash
# Checks with piuparts that the Debian package can be installed, upgraded, removed and purged: piuparts.sh [SUITE]
#
# SUITE is bookworm unless it is given. The package is .build/deb/tgpipe_*.deb, which `make deb` builds; piuparts lists each file
# that it leaves behind. It needs root, and about 1 GB of disk space.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../../scripts/common.sh"
cd "$root"

suite=${1:-bookworm}
[ "$(id -u)" = 0 ] || fail "piuparts can be run by root only: run this with sudo"
packages=(.build/deb/tgpipe_*.deb)
[ -f "${packages[0]}" ] || fail "there is no package in .build/deb: run 'make build deb' first"
scripts/packages.sh mmdebstrap piuparts

scratch=$(mktemp -d "${TMPDIR:-/tmp}/tgpipe-piuparts-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
# A minimal system has no systemd, as in most containers.
archive=.build/minimal-$suite.tar.gz
if [ ! -f "$archive" ]; then
    note "making a minimal system of Debian $suite, for a minute"
    mmdebstrap --quiet --variant=minbase "$suite" "$scratch/minimal.tar.gz"
    mv "$scratch/minimal.tar.gz" "$archive"
fi

# The version before, in a repository of its own: the same package with another number, and another setting in its file.
old=$scratch/old
dpkg-deb -R "${packages[0]}" "$scratch/tree"
sed -i 's/^Version: .*/Version: 0.0.1/' "$scratch/tree/DEBIAN/control"
echo '# before' >>"$scratch/tree/etc/tgpipe/tgpipe.env"
mkdir "$old"
dpkg-deb --root-owner-group -Znone -b "$scratch/tree" "$old/tgpipe_0.0.1.deb" >/dev/null
(cd "$old" && dpkg-scanpackages . >Packages 2>/dev/null)
# apt reads it as a user of its own.
chmod -R go+rX "$scratch"

log=.build/piuparts.log
note "installing, upgrading, removing and purging the package on Debian $suite, for some minutes"
if ! piuparts -b "$archive" -d "$suite" --no-eatmydata --warn-on-leftovers-after-purge --bindmount "$old" \
    --extra-repo "deb [trusted=yes] file:$old ./" "${packages[0]}" >"$log" 2>&1; then
    grep -aE 'ERROR|FAIL|WARN' "$log" | tail -n 40 >&2 || true
    fail "piuparts found faults: its whole output is in $log"
fi
for test in 'package installation' 'package upgrading' 'package purging'; do
    grep -aqiE "PASS:.*(Installation|Upgrad|$test)" "$log" || fail "piuparts did not test $test: see $log"
done
if grep -aE 'WARN.*(left|leftover)' "$log" >&2; then fail "the package leaves files behind: see $log"; fi
note "piuparts found no fault"
