#!/usr/bin/env bash
# Runs the tests in packaging/debian/tests against the installed Debian package, with autopkgtest: autopkgtest.sh [SUITE]
#
# SUITE is bookworm unless it is given. The package is .build/deb/tgpipe_*.deb, which `make deb` builds. It is installed in a
# system of its own, a changed root. It needs root, and about 1 GB of disk space.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../../scripts/common.sh"
cd "$root"

suite=${1:-bookworm}
[ "$(id -u)" = 0 ] || fail "only root can change the root of a program: run this with sudo"
packages=(.build/deb/tgpipe_*.deb)
[ -f "${packages[0]}" ] || fail "there is no package in .build/deb: run 'make build deb' first"
scripts/packages.sh mmdebstrap autopkgtest

scratch=$(mktemp -d "${TMPDIR:-/tmp}/tgpipe-autopkgtest-XXXXXX")
mounted=()
leave() {
    for place in "${mounted[@]}"; do umount -l "$place" || true; done
    rm -rf --one-file-system "$scratch"
}
trap leave EXIT

# autopkgtest wants a source package, of which it reads only these files.
source=$scratch/tgpipe
mkdir "$source"
cp -r packaging/debian "$source/debian"
sed -i 's/@MAINTAINER@/Nobody <nobody@localhost>/' "$source/debian/control"
version=$(dpkg-deb -f "${packages[0]}" Version)
printf 'tgpipe (%s) unstable; urgency=medium\n\n  * Test.\n\n -- Nobody <nobody@localhost>  %s\n' "$version" "$(date -R)" \
    >"$source/debian/changelog"

archive=.build/minimal-$suite.tar.gz
if [ ! -f "$archive" ]; then
    note "making a minimal system of Debian $suite, for a minute"
    mmdebstrap --quiet --variant=minbase "$suite" "$scratch/minimal.tar.gz"
    mv "$scratch/minimal.tar.gz" "$archive"
fi
system=$scratch/system
mkdir "$system"
tar -xzf "$archive" -C "$system" --exclude='./dev/*'
cp /etc/resolv.conf "$system/etc/resolv.conf"
for folder in dev proc sys; do
    mount --rbind --make-rslave "/$folder" "$system/$folder"
    mounted+=("$system/$folder")
done

note "testing the installed package on Debian $suite, for some minutes"
log=.build/autopkgtest.log
# The system has no folder of the name that TMPDIR may have here.
if ! env -u TMPDIR autopkgtest --no-built-binaries --apt-upgrade "${packages[0]}" "$source/" -- chroot "$system" >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    fail "a test of the package failed: the whole output is in $log"
fi
grep -E 'PASS|FAIL|SKIP' "$log"
for test in tools units; do grep -qE "^$test +PASS" "$log" || fail "the test $test did not run: see $log"; done
note "the tests of the package pass"
