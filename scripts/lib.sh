# shellcheck shell=sh
# Sourced by the other scripts: what a machine must have, and how it is got on Debian.

set -eu
unset CDPATH
cd "$(dirname "$0")/.."

export DEBIAN_FRONTEND=noninteractive npm_config_loglevel=error

missing=''

# need THING PACKAGE WHY: notes the Debian package when THING (a command, or the path of a file) is not there.
need() {
  case $1 in
    /*) [ -e "$1" ] && return ;;
    *) PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1 && return ;;
  esac
  case " $missing " in *" $2 "*) return ;; esac
  echo "missing: $2 ($3)"
  missing="$missing $2"
}

# Installs what `need` noted. The package lists are fetched only when apt does not know the packages without.
install_missing() {
  if is_left_over; then rm "$policy"; fi
  [ -z "$missing" ] && return
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "cannot install them here; as root on Debian: apt-get install$missing" >&2
    return 1
  fi
  echo "installing:$missing"
  forbid_starting
  apt_install || { apt-get update -qq </dev/null && apt_install; } || { allow_starting; return 1; }
  allow_starting
  missing=''
}

# Packages of daemons (containerd, podman) start them: not here. Tests start their own, in namespaces of their own.
# See /usr/share/doc/init-system-helpers/README.policy-rc.d.gz
policy=/usr/sbin/policy-rc.d
mark='# until apt has installed what the tests need, process '
forbidden=''

forbid_starting() {
  [ -e "$policy" ] && return
  trap 'allow_starting; exit 129' HUP
  trap 'allow_starting; exit 130' INT
  trap 'allow_starting; exit 143' TERM
  forbidden=yes
  printf '#!/bin/sh\n%s%s\nexit 101\n' "$mark" "$$" >"$policy"
  chmod +x "$policy"
}

allow_starting() {
  [ -z "$forbidden" ] || rm -f "$policy"
  forbidden=''
  trap - HUP INT TERM
}

# Of a script that was killed in a way that no trap sees.
is_left_over() {
  owner=$(sed -n "s/^$mark//p" "$policy" 2>/dev/null) && [ -n "$owner" ] && [ ! -d "/proc/$owner" ]
}

apt_install() {
  # shellcheck disable=SC2086  # a list of words
  apt-get install -y -qq --no-install-recommends $missing </dev/null >/dev/null 2>&1
}

need_node() {
  node=$(command -v node) || { echo 'Node.js 20 or newer and npm are needed' >&2; return 1; }
  major=$("$node" -p 'parseInt(process.versions.node)')
  [ "$major" -ge 20 ] || { echo "Node.js 20 or newer is needed; $node is $("$node" -v)" >&2; return 1; }
}

# npm ci, unless node_modules holds what package-lock.json says.
install_modules() {
  if node scripts/modules-fresh.mjs; then return; fi
  echo 'npm ci'
  npm ci </dev/null
}
