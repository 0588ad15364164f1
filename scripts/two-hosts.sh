#!/usr/bin/env bash
# Plays the migration between two machines on one: source and destination each have a network namespace
# of their own, joined by a cable of a given rate, and a token file keeps strangers out.
#
#   sudo scripts/two-hosts.sh --rate 100mbit
#
# Ends with the exit code of the source, and leaves nothing behind.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: two-hosts.sh [--rate 1gbit] [--memory 256MiB] [--guest kv] [--set key=value]...
  --rate    of the cable, as tc writes it: 100mbit, 1gbit, 10gbit
  --memory  of the guest
  --guest   a built-in guest or the path of a module
  --set     a setting of the guest; repeat it for more [rate=20000ops/s for kv]
TEXT
}

fail() {
  echo "two-hosts.sh: $1" >&2
  exit 1
}

rate=1gbit memory=256MiB guest=kv settings=()
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage && exit ;;
    --rate | --memory | --guest | --set) [ $# -gt 1 ] || fail "$1 needs a value" ;;
    *) usage >&2 && exit 2 ;;
  esac
  case $1 in
    --rate) rate=$2 ;;
    --memory) memory=$2 ;;
    --guest) guest=$2 ;;
    --set) settings+=(--set "$2") ;;
  esac
  shift 2
done
if [ "$guest" = kv ] && [ ${#settings[@]} -eq 0 ]; then settings=(--set rate=20000ops/s); fi

[ "$(id -u)" = 0 ] || fail "network namespaces need root; try: sudo $0"
for tool in ip tc; do
  command -v "$tool" >/dev/null || fail "$tool is missing; it comes with the package iproute2"
done
cli=$(dirname "$0")/../dist/src/cli/main.js
[ -f "$cli" ] || fail "tristage is not built; run: npm run setup"

here=tristage-source-$$ there=tristage-dest-$$
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work # hosts of other namespaces are no use to "tristage status"
: >"$work/dest.log"

cleanup() {
  trap '' INT TERM HUP
  for space in "$here" "$there"; do
    ip netns pids "$space" 2>/dev/null | xargs --no-run-if-empty kill -KILL 2>/dev/null || true
    ip netns delete "$space" 2>/dev/null || true # and its end of the cable
  done
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# One machine: a namespace, its end of the cable, an address.
machine() {
  local space=$1 cable=$2 address=$3
  ip -n "$space" link set lo up
  ip -n "$space" address add "$address/24" dev "$cable"
  ip -n "$space" link set "$cable" up
  # Packets leave the stack in pieces of up to 64 KiB; the queue holds what the cable carries in 20 ms.
  ip netns exec "$space" tc qdisc add dev "$cable" root tbf rate "$rate" burst 128kb latency 20ms
}

ip netns add "$here" || fail "no network namespace can be made here"
ip netns add "$there"
ip link add name cable-source netns "$here" type veth peer name cable-dest netns "$there"
machine "$here" cable-source 10.77.0.1
machine "$there" cable-dest 10.77.0.2
(umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/token")

common=(--token-file "$work/token")
echo "two namespaces, a cable of $rate: source 10.77.0.1, destination 10.77.0.2"
# In a session of its own, so that Ctrl-C reaches the source alone.
setsid ip netns exec "$there" node "$cli" dest "${common[@]}" --state-dir "$work/dest" \
  --listen 10.77.0.2:7000 --control 127.0.0.1:7001 >"$work/dest.log" 2>&1 &
until grep -q listening "$work/dest.log"; do
  kill -0 $! 2>/dev/null || fail "the destination did not start: $(cat "$work/dest.log")"
  sleep 0.1
done

code=0
ip netns exec "$here" node "$cli" source "${common[@]}" --state-dir "$work/source" --once \
  --guest "$guest" --memory "$memory" "${settings[@]}" \
  --migrate-to 10.77.0.2:7000 --after 2 || code=$?
echo
echo "the source has left with exit code $code; the destination says:"
ip netns exec "$there" node "$cli" status "${common[@]}" --from 127.0.0.1:7001
exit $code
