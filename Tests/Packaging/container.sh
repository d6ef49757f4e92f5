#!/usr/bin/env bash
# Tests the Debian package and its services in a booted container: container.sh [SUITE [PREVIOUS]]
#
# SUITE is bookworm unless it is given. The package is .build/deb/tgpipe_*.deb, which `make deb` builds. It is installed,
# configured and started as docs/systemd.md says, over queues and over pipes; every stage is killed; the machine is started
# again; the package is upgraded, removed and purged. With PREVIOUS, a package of an earlier version, that one is installed at the
# end, and upgraded while the bot runs, over queues and over pipes. Telegram is the emulator, which shares only the container's network. It
# needs root, and about 1 GB of disk space.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../../scripts/common.sh"
cd "$root"

suite=${1:-bookworm}
previous=${2:-}
[ "$(id -u)" = 0 ] || fail "a container can be started by root only: run this with sudo"
packages=(.build/deb/tgpipe_*.deb)
[ -f "${packages[0]}" ] || fail "there is no package in .build/deb: run 'make build deb' first"
scripts/packages.sh mmdebstrap systemd-container
scripts/venv.sh

# The container has no network, so the system has what the package depends on. systemd itself makes users.
needed=$(dpkg-deb -f "${packages[0]}" Depends | sed -E 's/systemd-standalone-sysusers[^,]*, *//; s/ *\([^)]*\)//g; s/ *\|[^,]*//g; s/ //g')
archive=.build/container-$suite-$(sha256sum <<<"$needed" | cut -c1-12).tar
if [ ! -f "$archive" ]; then
    note "making a minimal system of Debian $suite, for some minutes"
    mmdebstrap --quiet --format=tar --variant=minbase \
        --include="systemd,systemd-sysv,dbus,procps,iproute2,ca-certificates,ffmpeg,redis-server,apt,$needed" \
        "$suite" "$archive.new"
    mv "$archive.new" "$archive"
fi

machine=$(mktemp -d "${TMPDIR:-/tmp}/tgpipe-container-XXXXXX")
nspawn=
emulator=
# Ends a process that this script has started.
end() {
    [ -n "$1" ] || return 0
    kill -TERM "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}
leave() {
    end "$emulator"
    end "$nspawn"
    rm -rf "$machine" "$machine.log" "$machine.out" "$machine.emulator"
}
trap leave EXIT
tar -xf "$archive" -C "$machine" --exclude='./dev/*'
cp "${packages[0]}" "$machine/root/tgpipe.deb"
[ -z "$previous" ] || cp "$previous" "$machine/root/previous.deb"

leader() { pgrep -P "$nspawn" | head -n 1; }

# Runs a command in the machine.
inside() { nsenter -t "$(leader)" -a env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 bash -c "$1"; }

boot() {
    systemd-nspawn --quiet -D "$machine" --register=no --keep-unit --private-network -b </dev/null >"$machine.log" 2>&1 &
    nspawn=$!
    for ((tries = 0; tries < 240; tries++)); do
        case $(inside 'systemctl is-system-running' 2>/dev/null || true) in running | degraded) break ;; esac
        sleep 0.5
    done
    inside 'ip link set lo up'
    # The emulator needs Python packages of certain versions, so it runs outside, on the network of the machine.
    end "$emulator"
    nsenter -t "$(leader)" -n .venv/bin/python -B Tests/Emulator/emulator.py --port 9999 --token 123456:TEST-token >"$machine.emulator" 2>&1 &
    emulator=$!
    inside 'systemctl is-system-running --wait' >/dev/null || inside 'systemctl --failed --no-pager'
}

# Says something to the bot, as a user of the emulated Telegram, and waits for the answer.
say() { nsenter -t "$(leader)" -n .venv/bin/python -B Tests/Packaging/say.py "$@"; }

check() { # WHAT COMMAND…: a command line for the machine, or say with its arguments
    local what=$1 run=inside
    shift
    if [ "$1" = say ]; then
        run=say
        shift
    fi
    if "$run" "$@" >"$machine.out" 2>&1; then
        printf 'ok     %s\n' "$what"
    else
        printf 'FAILED %s\n' "$what"
        cat "$machine.out" >&2
        inside "journalctl -u 'tgpipe*' -o cat --no-pager | tail -n 40" >&2 || true
        exit 1
    fi
}

answers() { check "$1" say .whoami "Alice (42): admin"; }
greets() { check "it greets" say /start "Hello, Alice! Send me a link to a video, and I'll send you the video. /help shows what else I can do."; }
none_active() { check "$1" "[ -z \"\$(systemctl list-units 'tgpipe*' --state=active,activating --plain --no-legend --no-pager)\" ]"; }

note "booting"
boot
check "the package is installed" 'DEBIAN_FRONTEND=noninteractive dpkg -i /root/tgpipe.deb'
none_active "nothing starts before it has settings"
settings() {
    check "settings are made" 'install -m 600 /dev/stdin /etc/tgpipe/credentials/TG_BOT_TOKEN <<<123456:TEST-token &&
        sed -i "s/^TG_ADMIN_ID=.*/TG_ADMIN_ID=42/; s,^#TG_BOT_API_URL=.*,TG_BOT_API_URL=http://127.0.0.1:9999," /etc/tgpipe/tgpipe.env'
}
settings
check "the units are correct" "systemd-analyze verify --man=no tgpipe.target tgpipe-pipes.target tgpipe-session@a.service tgpipe-fetch@1.service tgpipe-split@1.service tgpipe-put-parts@1.service tgpipe-send-parts@1.service"
for unit in $(inside 'cd /usr/lib/systemd/system && ls tgpipe-*.service'); do
    # A template is judged by one of its instances.
    check "$unit is confined" "systemd-analyze security --offline=yes --threshold=20 ${unit/@./@1.}"
done
check "the bot starts over queues" 'systemctl enable -q --now tgpipe.target'
answers "it answers"
greets
for stage in listen gate talk limit ask expand turns route cancel put fetch@1 send@1 redis; do
    check "tgpipe-$stage is killed" "systemctl kill -s KILL tgpipe-$stage.service"
    answers "the bot answers after that"
done
check "the token is in no process's environment" '! grep -alE "TEST-token" /proc/[0-9]*/environ'
end "$nspawn"
note "booting again"
boot
answers "the bot answers after a start of the machine"
check "the package is upgraded" 'DEBIAN_FRONTEND=noninteractive dpkg -i /root/tgpipe.deb'
answers "the bot answers after that"
check "the bot ends" 'systemctl disable -q --now tgpipe.target && sleep 1'
check "the bot starts over pipes" 'systemctl start tgpipe-pipes.target'
answers "it answers"
greets
for stage in listen gate talk limit ask expand turns route send; do
    check "tgpipe-pipe-$stage is killed" "systemctl kill -s KILL tgpipe-pipe-$stage.service"
    answers "the bot answers after that"
done
check "the package is removed" 'DEBIAN_FRONTEND=noninteractive dpkg -r tgpipe'
none_active "nothing of it runs any more"
check "the package is purged" 'DEBIAN_FRONTEND=noninteractive dpkg -P tgpipe'
check "it leaves nothing behind" '! ls -d /etc/tgpipe /var/lib/tgpipe /usr/share/tgpipe /usr/share/doc/tgpipe 2>/dev/null'
if [ -n "$previous" ]; then
    for target in tgpipe.target tgpipe-pipes.target; do
        check "the earlier version is installed" 'DEBIAN_FRONTEND=noninteractive dpkg -i /root/previous.deb'
        settings
        check "$target of the earlier version starts" "systemctl start $target"
        answers "it answers"
        # The settings were changed, and both versions have others by default: the changed ones stay.
        check "the package is upgraded" 'DEBIAN_FRONTEND=noninteractive dpkg --force-confold -i /root/tgpipe.deb'
        # The stages of the new version write to units that the earlier one did not have.
        check "all units of $target are active" \
            "for unit in \$(systemctl show -P Wants $target | tr ' ' '\n' | grep '^tgpipe-'); do systemctl -q is-active \$unit || { echo \$unit; exit 1; }; done"
        answers "the bot answers after that"
        check "no file is where a pipe belongs" '! find /run/tgpipe -type f -name "*.fifo" | grep .'
        check "the package is purged" 'DEBIAN_FRONTEND=noninteractive dpkg -P tgpipe'
    done
fi
note "all passed"
