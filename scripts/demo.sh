#!/bin/sh
# Wires three pods with the plugins as they are built, shows what is there then, and proves that it works. From a fresh
# clone on Debian with Node.js 20 and npm, as root: installs what is missing, builds, runs.
#
#   scripts/demo.sh            exit status 0 when everything that it claims was seen to be so
#   scripts/demo.sh --shell    the same, with a shell on the node while the pods are there
#
# All of it happens in network and mount namespaces of its own: the machine's network is not touched, and whatever way
# it ends, the kernel takes everything away.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

case $* in
  '' | --shell) ;;
  *) echo 'usage: scripts/demo.sh [--shell]' >&2; exit 2 ;;
esac

stage=preparation
# shellcheck disable=SC2154  # `status` is given its value in there
trap 'status=$?; [ $status -eq 0 ] || echo "demo: FAILED: $stage (exit status $status)" >&2' EXIT

if [ "$(id -u)" -ne 0 ]; then
  echo 'to be run as root: it makes network namespaces' >&2
  exit 1
fi

need_node
need gcc gcc 'compiles the native addon'
need /usr/include/stdio.h libc6-dev 'compiles the native addon'
need musl-gcc musl-tools 'compiles the shim, static and small'
need strip binutils 'makes the executable smaller'
need mount mount 'keeps what it writes out of the way of the machine'
need ip iproute2 'makes the namespaces, and shows what is in them'
need nft nftables 'shows the masquerade elements; the plugins do without'
stage='installing packages'
install_missing
stage='npm ci'
install_modules

export PATH="$PWD/node_modules/.bin:$PATH:/usr/sbin:/sbin"
stage=build
node scripts/build.ts </dev/null

stage='making namespaces (in a container: it must be privileged)'
unshare --net --mount --propagation private true
stage='the demo itself'
[ "${1:-}" = --shell ] || exec </dev/null
unshare --net --mount --propagation private scripts/demo/enter.sh "$@"
