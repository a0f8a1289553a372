#!/bin/sh
# Builds upstream's `cnitool` from Debian's source package, once, outside the repository, and prints where it is.
# The system's own apt sources stay as they are: those of source packages are in a directory of ours.
#
#   scripts/cnitool.sh

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

package=golang-github-appc-cni
cache=${PODWIRE_TEST_CACHE:-/var/cache/podwire-tests}
gopath=/usr/share/gocode
work=''

main() {
  need go golang-go 'builds cnitool'
  need "$gopath/src/github.com/containernetworking/cni/libcni" golang-github-appc-cni-dev 'what cnitool is built on'
  need xz xz-utils 'unpacks the source of cnitool'
  install_missing
  version=$(dpkg-query -W -f '${Version}' "$package-dev")
  tool=$cache/cnitool-$version
  [ -x "$tool" ] || build
  echo "$tool" >&3
}

build() {
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/work.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  fetch_source
  tar -xJf "$package"_*.orig.tar.xz --strip-components=1
  # Go looks imports up beside GOPATH only: outside a GOPATH, this directory is just a package called main.
  (cd cnitool && GO111MODULE=off GOPATH=$gopath GOCACHE=$work/go-cache go build -o "$work/built" .)
  mv "$work/built" "$tool" # whole or not at all, whoever else builds it meanwhile
}

fetch_source() {
  # shellcheck source=/dev/null
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  echo "deb-src http://deb.debian.org/debian $suite main" >sources.list
  mkdir -p lists/partial archives/partial
  apt_here update
  apt_here source --download-only "$package=$version"
}

apt_here() {
  apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$work/lists" -o Dir::Cache="$work" -o APT::Sandbox::User=root "$@" </dev/null
}

main 3>&1 1>&2 # whatever else is said on the way is not the answer
