#!/usr/bin/env bash
# A real S3 server for tests: OpenStack Swift with its S3 front, on loopback, all of its data in one folder.
#
#   s3-server.sh FOLDER BIN PROXY_PORT ACCOUNT_PORT CONTAINER_PORT OBJECT_PORT
#
# BIN is the bin folder of a Python environment with the packages of Tests/requirements.txt. Prints the endpoint once it answers;
# ends with its standard input, so that it never outlives who started it, and removes what it wrote. Keys: test:tester, testing;
# region us-east-1.
set -euo pipefail

folder=$(mkdir -p "$1" && cd "$1" && pwd)
bin=$2
declare -A port=([proxy]=$3 [account]=$4 [container]=$5 [object]=$6)
declare -A pid=()

end() {
    trap - EXIT TERM INT HUP
    for name in "${!pid[@]}"; do kill "${pid[$name]}" 2>/dev/null || true; done
    wait
    rm -rf "${folder:?}"/{etc,disk,log,recon}
    rmdir "$folder" 2>/dev/null || true
}
trap end EXIT
trap 'exit 143' TERM INT HUP

# Every server of Swift begins its configuration like this. Without a syslog it would look up the name localhost.
common() {
    printf '%s\n' '[DEFAULT]' 'bind_ip = 127.0.0.1' "bind_port = ${port[$1]}" 'workers = 0' "user = $(id -un)" \
        "swift_dir = $folder/etc" 'log_level = WARNING' 'log_udp_host = 127.0.0.1'
}

configure_cluster() {
    mkdir -p "$folder"/etc "$folder"/disk/one "$folder"/log "$folder"/recon
    printf '%s\n' '[swift-hash]' 'swift_hash_path_prefix = tests' 'swift_hash_path_suffix = only' \
        '[storage-policy:0]' 'name = single' 'default = true' >"$folder/etc/swift.conf"
}

# One copy of everything on one device, without the checks that want a mounted disk.
configure_storage() {
    {
        common "$1"
        printf '%s\n' "devices = $folder/disk" 'mount_check = false' 'disable_fallocate = true' \
            'fallocate_reserve = 0' "recon_cache_path = $folder/recon" \
            '[pipeline:main]' "pipeline = $1-server" "[app:$1-server]" "use = egg:swift#$1"
    } >"$folder/etc/$1-server.conf"
    local ring="$folder/etc/$1.builder"
    "$bin/swift-ring-builder" "$ring" create 2 1 1
    "$bin/swift-ring-builder" "$ring" add --region 1 --zone 1 --ip 127.0.0.1 --port "${port[$1]}" --device one --weight 1
    "$bin/swift-ring-builder" "$ring" rebalance
}

configure_proxy() {
    {
        common proxy
        printf '%s\n' '[pipeline:main]' \
            'pipeline = catch_errors cache s3api tempauth copy bulk slo proxy-server' \
            '[app:proxy-server]' 'use = egg:swift#proxy' 'account_autocreate = true' \
            '[filter:s3api]' 'use = egg:swift#s3api' 'location = us-east-1' \
            '[filter:tempauth]' 'use = egg:swift#tempauth' 'user_test_tester = testing .admin' \
            '[filter:cache]' 'use = egg:swift#memcache' 'memcache_servers = 127.0.0.1:9'
        for filter in catch_errors bulk slo copy; do printf '%s\n' "[filter:$filter]" "use = egg:swift#$filter"; done
    } >"$folder/etc/proxy-server.conf"
}

answers() { (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

await() {
    local tries=600
    until answers "${port[$1]}"; do
        if ((--tries == 0)) || ! kill -0 "${pid[$1]}" 2>/dev/null; then
            echo "s3-server.sh: the $1 server did not start:" >&2
            tail -n 20 "$folder/log/$1.log" >&2
            exit 1
        fi
        sleep 0.05
    done
}

configure_cluster
building=()
for name in account container object; do
    configure_storage "$name" >"$folder/log/$name-ring.log" 2>&1 &
    building+=($!)
done
configure_proxy
for job in "${building[@]}"; do wait "$job"; done

for name in "${!port[@]}"; do
    "$bin/swift-$name-server" "$folder/etc/$name-server.conf" >"$folder/log/$name.log" 2>&1 </dev/null &
    pid[$name]=$!
done
for name in "${!port[@]}"; do await "$name"; done
echo "http://127.0.0.1:${port[proxy]}"

# `read` ends with the input, and lets a signal through meanwhile.
while read -r _; do :; done
