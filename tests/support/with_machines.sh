#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# with_machines.sh N PROGRAM ARGUMENT...
#
# Runs a program on a machine, 10.77.0.1, that has N others beside it: network namespaces m1 to mN. The
# link to the k-th is mk here and eth0 there:
#   nsenter --net=/run/netns/m2 COMMAND    runs a command on the second
#   ip link set m2 down                    cuts it off, without a word to anybody
# Everything ends with this script. Exits with 77 where the system lets nobody make namespaces.
set -eu

if [ -z "${HOIST_MACHINES-}" ]; then
  # Who isn't root, or may not make namespaces as such, may be root of a user namespace.
  apart="--net --mount --pid --fork --kill-child"
  if unshare --user --map-root-user $apart true 2>/dev/null; then
    apart="--user --map-root-user $apart"
  fi
  if ! command -v ip >/dev/null || ! unshare $apart true 2>/dev/null; then
    echo "with_machines.sh: this system lets nobody make network namespaces" >&2
    exit 77
  fi
  HOIST_MACHINES=$1
  export HOIST_MACHINES
  shift
  exec unshare $apart "$0" "$@"
fi

mount -t proc proc /proc
mount -t tmpfs tmpfs /run
ip link set lo up
ip address add 10.77.0.1/32 dev lo
k=1
while [ "$k" -le "$HOIST_MACHINES" ]; do
  ip netns add "m$k"
  ip link add "m$k" type veth peer name eth0 netns "m$k"
  ip address add "10.77.$k.1/24" dev "m$k"
  ip link set "m$k" up
  ip -n "m$k" link set lo up
  ip -n "m$k" address add "10.77.$k.2/24" dev eth0
  ip -n "m$k" link set eth0 up
  ip -n "m$k" route add default via "10.77.$k.1"
  k=$((k + 1))
done
"$@"
