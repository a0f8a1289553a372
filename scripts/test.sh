#!/bin/sh
# All checks and tests, from a fresh clone on Debian 12 with Node.js 20 and npm: installs what is missing, builds,
# checks, tests. The last line is `N passed, N failed`, in tests (a test is what one `test(…)` of a file describes).
#
#   scripts/test.sh [test file…]

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

trap 'echo "0 passed, 1 failed"' EXIT # when it ends before the tests begin

need_node
need gcc gcc 'compiles the native addon'
need /usr/include/stdio.h libc6-dev 'compiles the native addon'
need curl curl 'asks the daemon for its counters'
need musl-gcc musl-tools 'compiles the shim, static and small'
need ip iproute2 'shows links, addresses and routes to the tests'
need nft nftables 'shows firewall rules to the tests'
need tc iproute2 'shows traffic shaping to the tests'
need /usr/lib/cni/bridge containernetworking-plugins 'the plugins that ours are compared with'
need iptables iptables 'is what upstream’s plugins masquerade with'
need strace strace 'counts the system calls of a start'
need conntrack conntrack 'puts connections into the kernel’s table, and shows them'
need containerd containerd 'a runtime that the tests start pods with'
need podman podman 'another one, with its CNI backend'
need /bin/busybox busybox-static 'what runs in their containers'
need ping iputils-ping 'sends packets through what the plugins made'
need openssl openssl 'makes the certificate of an API server'
need chromium chromium 'shows the daemon’s page to the tests'
need shellcheck shellcheck 'reads the scripts'
install_missing
install_modules

[ -t 1 ] || export NO_COLOR=1
export PATH="$PWD/node_modules/.bin:$PATH:/usr/sbin:/sbin"

for step in check build; do # in this order: the build rewrites deps.txt, which the check compares
  npm run --silent "$step" </dev/null || set -- --failed-before "npm run $step" "$@"
done

trap - EXIT
exec node scripts/run-tests.ts "$@" </dev/null
