#!/bin/sh
# MACHINES="one two three" ssh.sh ARGUMENT...
#
# The grid search here, and a worker host of it on each of these machines, which reach the Redis server
# HOIST_URL and have the program in their path. The hosts end with this script, however that ends.
set -eu

: "${HOIST_URL:?has to be the server: rediss://:PASSWORD@HEAD/NAME}"

for machine in $MACHINES; do
  # The URL has a password, so it comes by stdin and is in no command line. tail keeps stdin open until
  # this script has ended; its end is that of the host.
  { printf '%s\n' "$HOIST_URL"; exec tail --pid=$$ -f /dev/null; } | ssh "$machine" '
      read -r HOIST_WORKER; export HOIST_WORKER
      grid_search_redis </dev/null & host=$!
      cat >/dev/null
      kill $host' &
done
grid_search_redis --backend redis "$@"
