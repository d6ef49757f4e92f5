#!/usr/bin/env bash
# Installs the Debian packages that building, testing and running need, if they are missing: packages.sh [PACKAGE…]
# With arguments, it installs the named packages instead.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"

wanted=(
    # To build: programs that the compiler needs, and the libraries that the tools use.
    g++ git make pkg-config binutils libc6-dev zlib1g-dev tzdata ca-certificates
    libcurl4-openssl-dev libhiredis-dev libqrencode-dev libssl-dev libpq-dev libsimdjson-dev libsqlite3-dev libtomlplusplus-dev libvalijson-dev
    libzstd-dev nlohmann-json3-dev
    # Libraries that the Swift toolchain itself is linked to.
    libsqlite3-0 libxml2 libedit2 libncurses6
    # To run and to test: servers, media programs, and Python for the emulator of Telegram.
    redis-server postgresql ffmpeg python3 python3-venv jq curl openssl procps json-schema-test-suite shellcheck
)
if [ $# -gt 0 ]; then wanted=("$@"); fi

missing=()
installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null | awk '$1 == "ii" { print $2 }') ||
    fail "this is not a Debian system: install the equivalents of these packages: ${wanted[*]}"
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
        "Install them (apt-get install ${missing[*]}), run this as root, or install sudo."
fi
apt() { "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"; }
apt update || fail "apt-get update failed: see above; check the network and the sources in /etc/apt."
apt install -y --no-install-recommends "${missing[@]}" >&2 ||
    fail "apt-get could not install ${missing[*]}: see above."

# Debian starts the server of a newly installed package, now and at each boot. tgpipe starts servers of its own, so a
# server that was installed just now is stopped and disabled.
for server in redis-server postgresql; do
    [[ " ${missing[*]} " == *" $server "* ]] || continue
    if [ -d /run/systemd/system ]; then
        "${as_root[@]}" systemctl --quiet disable --now "$server.service"
    else
        "${as_root[@]}" service "$server" stop >/dev/null 2>&1 || true
        "${as_root[@]}" update-rc.d "$server" disable >/dev/null 2>&1 || true
    fi
    note "stopped and disabled the system's $server service, which was installed just now: tgpipe starts its own server"
done
