#!/usr/bin/env bash
# Makes an archive of what `make build` built, with the files of an installation in one folder that can be anywhere:
# .build/tgpipe-VERSION-ARCHITECTURE.tar.gz
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"
cd "$root"

built=${TGPIPE_BUILT:-$root/.build/release}
[ -x "$built/tgpipe" ] || fail "the tools are not built: run 'make build' first"
version=$("$built/tgpipe" --version)
name=tgpipe-${version%% *}-$(uname -m)

scratch=$(mktemp -d "${TMPDIR:-/tmp}/tgpipe-tarball-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
TGPIPE_BUILT=$built DESTDIR=$scratch PREFIX=/$name scripts/install.sh 2>/dev/null
# The list is for `make uninstall`; the folder is removed as a whole.
rm "$scratch/$name/share/tgpipe/installed"
# The same files give the same archive.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct 2>/dev/null || date +%s)" \
    -C "$scratch" -cf - "$name" | gzip -6n >"$scratch/$name.tar.gz"
mv "$scratch/$name.tar.gz" .build/
note "made .build/$name.tar.gz ($(du -h ".build/$name.tar.gz" | cut -f1)): unpack it anywhere, and put its bin on PATH"
