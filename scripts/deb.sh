#!/usr/bin/env bash
# Makes the Debian package of what `make build` built: .build/deb/tgpipe_VERSION_ARCHITECTURE.deb
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"
cd "$root"

scripts/packages.sh build-essential debhelper
export TGPIPE_SOURCE=$root TGPIPE_BUILT=${TGPIPE_BUILT:-$root/.build/release}
[ -x "$TGPIPE_BUILT/tgpipe" ] || fail "the tools are not built: run 'make build' first"
version=$("$TGPIPE_BUILT/tgpipe" --version)
version=${version%% *}

scratch=$(mktemp -d "${TMPDIR:-/tmp}/tgpipe-deb-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
tree=$scratch/tgpipe-$version
mkdir -p "$tree"
cp -r packaging/debian "$tree/debian"
# Whoever builds the package maintains it.
maintainer="${DEBFULLNAME:-$(git config user.name)} <${DEBEMAIL:-$(git config user.email)}>"
[[ $maintainer = *?' <'*?@?*'>' ]] || fail "the maintainer of the package is unknown: set DEBFULLNAME and DEBEMAIL"
sed -i "s/@MAINTAINER@/${maintainer//\//\\/}/" "$tree/debian/control"
# Debian's changelog names the version; what has changed is in CHANGELOG.md.
date=$(git log -1 --format=%cD 2>/dev/null || date -R)
cat >"$tree/debian/changelog" <<END
tgpipe ($version) unstable; urgency=medium

  * Release $version; /usr/share/doc/tgpipe/changelog.gz tells what is new.

 -- $maintainer  $date
END
log=$root/.build/deb.log
(cd "$tree" && dpkg-buildpackage -b -us -uc -rfakeroot >"$log" 2>&1) || fail "the package was not built: see the end of $log" "$(tail -n 5 "$log")"
mkdir -p .build/deb
rm -f .build/deb/*
mv "$scratch"/tgpipe_*.deb .build/deb/
note "made $(cd "$root" && echo .build/deb/tgpipe_*.deb) ($(du -h .build/deb/tgpipe_*.deb | cut -f1)): apt install ./$(echo .build/deb/tgpipe_*.deb)"
