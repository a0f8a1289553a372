#!/bin/bash
# The measurement of 0006-mac-addresses.md: a pod's address gets a new holder, and a neighbour who remembers the old one
# sends to it at once. As root, with iproute2 and iputils-ping:
#
#   unshare --net --mount --propagation private docs/adr/0006-measure.sh DIRECTORY BRIDGE IPAM
#
# DIRECTORY BRIDGE IPAM: dist/bin cni-bridge ipam-host-local, or /usr/lib/cni bridge host-local
set -eu
directory=$1 bridge=$2 ipam=$3
mount -t tmpfs none /run
ip link set lo up

# Two addresses of each family: what the second pod gives back, the third gets.
call() {
  CNI_COMMAND=$1 CNI_CONTAINERID=$2 CNI_NETNS=/run/netns/$2 CNI_IFNAME=eth0 CNI_PATH=$directory \
    "$directory/$bridge" >/dev/null <<JSON
{ "cniVersion": "1.0.0", "name": "n", "type": "$bridge", "bridge": "br0", "isGateway": true,
  "ipam": { "type": "$ipam", "dataDir": "/run/leases", "ranges": [
    [{ "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.2", "rangeEnd": "10.1.0.3" }],
    [{ "subnet": "fd00:1::/64", "rangeStart": "fd00:1::2", "rangeEnd": "fd00:1::3" }]] } }
JSON
}

for pod in neighbour old new; do ip netns add $pod; done
call ADD neighbour
call ADD old
for address in 10.1.0.3 fd00:1::3; do ip netns exec neighbour ping -q -c 1 -W 3 $address >/dev/null; done
call DEL old
call ADD new
for address in 10.1.0.3 fd00:1::3; do
  ip netns exec neighbour ping -q -c 60 -i 0.2 -W 1 -w 15 $address | grep transmitted || true
done
