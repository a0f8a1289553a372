#!/bin/sh
# Called inside the namespaces that scripts/demo.sh makes: this is the node from here on. What ip-netns(8) and the
# plugins keep below /run goes away with the mount namespace.
set -eu
mount -t tmpfs -o mode=0755 podwire-demo /run
exec node scripts/demo/main.ts "$@"
