#!/bin/bash
# The measurement of 0011-start.md: what an ADD costs the CPU, for executables in several directories, in turn, so that
# the machine's moods meet all of them. As root, with iproute2:
#
#   unshare --net --mount --propagation private docs/adr/0011-measure.sh RUNS DIRECTORY...
#
# Each DIRECTORY has a cni-bridge that serves ipam-host-local, too: dist/bin.
set -eu
runs=$1
shift
mount -t tmpfs none /run
ip link set lo up
ip netns add pod
TIMEFORMAT='%U %S'

call() {
  CNI_COMMAND=$1 CNI_CONTAINERID=pod CNI_NETNS=/run/netns/pod CNI_IFNAME=eth0 CNI_PATH=$2 "$2/cni-bridge" >/dev/null <<JSON
{ "cniVersion": "1.0.0", "name": "n", "type": "cni-bridge", "isDefaultGateway": true, "ipMasq": true,
  "ipam": { "type": "ipam-host-local", "dataDir": "/run/leases", "subnet": "10.1.0.0/24" } }
JSON
}

for ((run = -2; run < runs; run++)); do
  for directory; do
    { time call ADD "$directory"; } 2>/run/times
    call DEL "$directory"
    # The first ones fill caches.
    [ "$run" -lt 0 ] || awk -v d="$directory" '{ printf "%s %d\n", d, ($1 + $2) * 1000 }' /run/times >>/run/all
  done
done
for directory; do
  awk -v d="$directory" '$1 == d { print $2 }' /run/all | sort -n |
    awk -v d="$directory" '{ t[NR] = $1 } END { printf "%s: CPU per ADD: median %d ms, p10 %d, p90 %d\n", d, t[int((NR + 1) / 2)], t[int((NR + 9) / 10)], t[int(NR * 0.9)] }'
done
