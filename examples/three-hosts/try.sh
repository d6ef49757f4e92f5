#!/usr/bin/env bash
# Boots the three hosts of this example on one machine, kills the primary Redis, and says whether all of it worked. It takes about a
# minute, needs root for a network of its own (no other network is touched), and the packages that `make test` needs.
#
#   TGPIPE_BIN=.build/release examples/three-hosts/try.sh [--keep]
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
for program in unshare ip redis-server ffmpeg; do
    command -v "$program" >/dev/null || { printf 'error: %s is not installed\n' "$program" >&2; exit 69; }
done
if [ "$(id -u)" != 0 ]; then
    printf 'error: only root can make a network\n' >&2
    exit 77
fi

# shellcheck disable=SC2016  # The inner shell expands these.
exec unshare --net sh -euc '
    ip link set lo up
    for host in 1 2 3; do ip address add "10.0.0.$host/32" dev lo; done
    exec "$@"
' sh "$root/.venv/bin/python" -B "$root/Tests/Chaos/three_hosts.py" "$@"
