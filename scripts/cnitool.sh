#!/bin/sh
# Builds upstream's `cnitool` from Debian's source package, once, outside the repository, and prints where it is.
# Version 1.3 knows GC and STATUS; its source is in Debian's development suite, and takes a Go of bookworm-backports,
# which is unpacked for the build and not installed. Where that cannot be had, Debian 12's own 1.1.2 is built, which
# knows ADD, CHECK and DEL. The system's own apt sources stay as they are: those used here are in a directory of ours.
#
#   scripts/cnitool.sh

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

package=golang-github-appc-cni
cache=${PODWIRE_TEST_CACHE:-/var/cache/podwire-tests}
mirror=http://deb.debian.org/debian
newer=1.3.0
work=''

main() {
  tool=$cache/cnitool-$newer
  if [ ! -x "$tool" ] && ! build_newer; then
    echo "cnitool $newer cannot be built here; taking that of this Debian"
    older
  fi
  echo "$tool" >&3
}

build_newer() (
  enter_work
  echo "deb $mirror bookworm-backports main
deb-src $mirror sid main" >sources.list
  apt_here update || exit 1
  # The newest there may be another by now.
  apt_here source --tar-only --download-only "$package" && ls "${package}_$newer.orig.tar.xz" || exit 1
  need xz xz-utils 'unpacks the source of cnitool'
  install_missing || exit 1
  mkdir source
  tar -xJf "${package}_$newer.orig.tar.xz" -C source --strip-components=1
  apt_here download golang-1.23-go golang-1.23-src || exit 1
  for file in golang-*.deb; do dpkg -x "$file" go; done
  cd source
  GOTOOLCHAIN=local GOPROXY=off GOFLAGS=-mod=mod GOCACHE=$work/go-cache \
    "$work/go/usr/lib/go-1.23/bin/go" build -o "$work/built" ./cnitool || exit 1
  mv "$work/built" "$tool" # whole or not at all, whoever else builds it meanwhile
)

older() {
  gopath=/usr/share/gocode
  need go golang-go 'builds cnitool'
  need "$gopath/src/github.com/containernetworking/cni/libcni" golang-github-appc-cni-dev 'what cnitool is built on'
  need xz xz-utils 'unpacks the source of cnitool'
  install_missing
  version=$(dpkg-query -W -f '${Version}' "$package-dev")
  tool=$cache/cnitool-$version
  [ -x "$tool" ] || build_older
}

build_older() (
  enter_work
  # shellcheck source=/dev/null
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  echo "deb-src $mirror $suite main" >sources.list
  apt_here update
  apt_here source --download-only "$package=$version"
  tar -xJf "$package"_*.orig.tar.xz --strip-components=1
  # Go looks imports up beside GOPATH only: outside a GOPATH, this directory is just a package called main.
  (cd cnitool && GO111MODULE=off GOPATH=$gopath GOCACHE=$work/go-cache go build -o "$work/built" .)
  mv "$work/built" "$tool"
)

enter_work() {
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/work.XXXXXX")
  trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
  cd "$work"
  mkdir -p lists/partial archives/partial
}

apt_here() {
  apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$work/lists" -o Dir::Cache="$work" -o APT::Sandbox::User=root "$@" </dev/null
}

main 3>&1 1>&2 # whatever else is said on the way is not the answer
