#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# [HOSTS=2] with_hosts.sh PROGRAM ARGUMENT...
#
# Runs a program whose loops find a Redis server and, as its worker hosts, so many processes of the
# program itself. All of them end with this script, at the latest after 280 seconds. On a machine that
# has others beside it (tests/support/with_machines.sh) these can reach the server, with a password.
set -eu

directory=$(mktemp -d)
others=
end() {
  kill $others 2>/dev/null || :
  wait
  rm -rf "$directory"
}
trap end EXIT
trap 'exit 1' HUP INT TERM

if [ -n "${HOIST_MACHINES-}" ]; then
  reached="--bind 10.77.0.1 --port 6379 --requirepass secret"
  url=redis://:secret@10.77.0.1/test
else
  reached="--port 0"
  url="unix://$directory/socket?name=test"
fi
timeout 280 redis-server $reached --unixsocket "$directory/socket" --save '' --dir "$directory" \
  >"$directory/log" 2>&1 &
others=$!
until redis-cli -s "$directory/socket" ping >/dev/null 2>&1; do
  kill -0 "$others" || { cat "$directory/log"; exit 1; }
  sleep 0.02
done
hosts=${HOSTS-2}
while [ "$hosts" -gt 0 ]; do  # each has half of the cores
  HOIST_WORKER=$url HOIST_MAX_CPU_COUNT=$((($(nproc) + 1) / 2)) timeout 280 "$1" &
  others="$others $!"
  hosts=$((hosts - 1))
done
HOIST_URL=$url HOIST_TEST_BACKEND=redis timeout --kill-after=5 280 "$@"
