#!/bin/sh
# A cluster of one node in a container, whose network is Podwire: kind, without the network that it brings. Builds the
# image (or takes IMAGE), loads it into the node, applies deploy/podwire.yaml and waits until the node is ready.
#
#   scripts/kind-up.sh [--name NAME]      the kubeconfig is then in dist/kind/NAME.kubeconfig
#   kind delete cluster --name NAME       takes all of it away
#
# Needs docker, kind and kubectl. Not podman: `kind load docker-image` asks docker.

set -eu
unset CDPATH
cd "$(dirname "$0")/.."

name=podwire
case ${1:-} in
  '') ;;
  --name) name=${2:?--name takes a name} ;;
  *) echo 'usage: scripts/kind-up.sh [--name NAME]' >&2; exit 2 ;;
esac

version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
image=podwire:$version
kubeconfig=dist/kind/$name.kubeconfig

for tool in docker kind kubectl; do
  command -v "$tool" >/dev/null || { echo "\"$tool\" is not there" >&2; exit 1; }
done
mkdir -p dist/kind

if [ -n "${IMAGE:-}" ]; then
  docker tag "$IMAGE" "$image"
else
  docker build --tag "$image" .
fi

# Both families, as most of what can go wrong does so with two. Pods of one node reach each other through Services only
# where what crosses a bridge passes iptables, too: each network namespace begins with that where the module is loaded.
[ -d /proc/sys/net/bridge ] || modprobe br_netfilter || echo 'br_netfilter is not loaded: a Service may not answer pods of its own node'
kind create cluster --name "$name" --kubeconfig "$kubeconfig" --config - <<'END'
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking:
  disableDefaultCNI: true
  ipFamily: dual
  podSubnet: 10.244.0.0/16,fd00:10:244::/56
END
kind load docker-image "$image" --name "$name"

export KUBECONFIG="$kubeconfig"
kubectl apply -f deploy/podwire.yaml
kubectl --namespace kube-system rollout status daemonset/podwire --timeout=3m
kubectl wait --for=condition=Ready nodes --all --timeout=2m
kubectl --namespace kube-system rollout status deployment/coredns --timeout=3m
echo "KUBECONFIG=$PWD/$kubeconfig"
