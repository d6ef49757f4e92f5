#!/usr/bin/env bash
# Installs the Debian packages that building, testing and running need, when they are missing: packages.sh [PACKAGE…]
# With packages named, these instead.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"

wanted=(
    # To build: the compiler's companions, and the libraries that the tools stand on.
    g++ git make pkg-config binutils libc6-dev zlib1g-dev tzdata ca-certificates
    libcurl4-openssl-dev libhiredis-dev libqrencode-dev libssl-dev libsimdjson-dev libsqlite3-dev libtomlplusplus-dev libvalijson-dev nlohmann-json3-dev
    # What a Swift toolchain itself is linked to.
    libsqlite3-0 libxml2 libedit2 libncurses6
    # To run and to test: servers, media programs, Python for what plays Telegram.
    redis-server ffmpeg python3 python3-venv jq curl openssl procps json-schema-test-suite
)
if [ $# -gt 0 ]; then wanted=("$@"); fi

missing=()
installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null | awk '$1 == "ii" { print $2 }') ||
    fail "this is no Debian system: install these, by whatever name they have here: ${wanted[*]}"
for package in "${wanted[@]}"; do
    grep -qxF "$package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

note "installing Debian packages: ${missing[*]}"
if [ "$(id -u)" = 0 ]; then
    as_root=(env)
elif command -v sudo >/dev/null; then
    as_root=(sudo env)
else
    fail "these Debian packages are missing: ${missing[*]}" \
        "Install them (apt-get install ${missing[*]}), or run this as root, or install sudo."
fi
apt() { "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"; }
apt update || fail "apt-get update failed: see above; is there a network, and are the sources in /etc/apt right?"
apt install -y --no-install-recommends "${missing[@]}" >&2 ||
    fail "apt-get could not install ${missing[*]}: see above."

# Debian starts the server of a package that it installs, and would again at each boot. tgpipe runs servers of its own, so
# one that came with it just now should not stay.
if [[ " ${missing[*]} " == *" redis-server "* ]]; then
    if [ -d /run/systemd/system ]; then
        "${as_root[@]}" systemctl --quiet disable --now redis-server.service
    else
        "${as_root[@]}" service redis-server stop >/dev/null 2>&1 || true
        "${as_root[@]}" update-rc.d redis-server disable >/dev/null 2>&1 || true
    fi
    note "the system's own redis-server service was not there before: it is stopped and disabled again"
fi
