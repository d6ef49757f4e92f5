#!/usr/bin/env bash
# Installs the Debian packages that building and running need, if they are missing: packages.sh [--tests | PACKAGE…]
# With --tests, it also installs what only the tests and checks need. With names, it installs these packages instead.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"

wanted=(
    # To build: programs that the compiler needs, and the libraries that the tools use.
    g++ git make pkg-config binutils libc6-dev zlib1g-dev tzdata ca-certificates
    libcurl4-openssl-dev libhiredis-dev libqrencode-dev libssl-dev libpq-dev libsimdjson-dev libsqlite3-dev libtomlplusplus-dev
    libzstd-dev nlohmann-json3-dev
    # Libraries that the Swift toolchain itself is linked to.
    libsqlite3-0 libxml2 libedit2 libncurses6
    # To run, and for the demo: a server, media programs, what the examples call, and Python for the emulator of Telegram.
    redis-server ffmpeg python3 python3-venv jq curl procps
)
# Packages of which only files are needed, each with one of them: their dependencies (Qt, Poco, Flask) are not, and
# prometheus would start a server. They are unpacked in .deps instead of installed. Of several packages the first that exists
# is taken: since Debian 13, promtool is a package of its own.
unpacked=(libvalijson-dev=usr/include/valijson)
if [ "${1:-}" = --tests ]; then
    # Another server, systemd's journal, a browser for the pages of ev-log, and what checks databases, scripts, man pages and
    # certificates.
    wanted+=(postgresql sqlite3 systemd chromium-headless-shell openssl shellcheck mandoc libpython3-dev)
    unpacked+=(json-schema-test-suite=usr/share/json-schema-test-suite promtool:prometheus=usr/bin/promtool)
elif [ $# -gt 0 ]; then
    wanted=("$@")
    unpacked=()
fi

missing=()
installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null | awk '$1 == "ii" { print $2 }') ||
    fail "this is not a Debian system: install the equivalents of these packages: ${wanted[*]}"
for package in "${wanted[@]}"; do
    grep -qxF "$package" <<<"$installed" || missing+=("$package")
done
absent=()
for package in "${unpacked[@]}"; do
    [ -e "/${package#*=}" ] || [ -e "$root/.deps/${package#*=}" ] || absent+=("${package%%=*}")
done
[ ${#missing[@]} -gt 0 ] || [ ${#absent[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=(env)
elif [ ${#missing[@]} -eq 0 ]; then
    # Nothing is installed, so no privilege is needed.
    as_root=(env)
elif command -v sudo >/dev/null; then
    as_root=(sudo env)
else
    fail "these Debian packages are missing: ${missing[*]}" \
        "Install them (apt-get install ${missing[*]}), run this as root, or install sudo."
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1 </dev/null; }

if [ ${#missing[@]} -gt 0 ]; then
    note "installing Debian packages, for a minute or more: ${missing[*]}"
    apt update || fail "apt-get update failed; check the network and the sources in /etc/apt:" "$(<"$log")"
    apt install -y --no-install-recommends "${missing[@]}" ||
        fail "apt-get could not install ${missing[*]}:" "$(tail -n 30 "$log")"
fi

for packages in "${absent[@]}"; do
    folder=$(mktemp -d)
    # Unpacking needs no privilege, and the lists of packages may be too old or missing.
    get() {
        local package
        for package in ${packages//:/ }; do
            if (cd "$folder" && apt-get -qq download "$package") >"$log" 2>&1; then return; fi
        done
        return 1
    }
    note "unpacking files of the Debian package ${packages//:/ or } in .deps"
    get || { apt update && get; } || fail "apt-get could not download $packages:" "$(<"$log")"
    mkdir -p "$root/.deps"
    dpkg-deb -x "$folder"/*.deb "$root/.deps"
    rm -rf "$folder"
done
[ ${#missing[@]} -gt 0 ] || exit 0

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
