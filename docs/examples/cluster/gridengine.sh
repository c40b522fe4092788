#!/bin/sh
#$ -N hoist-hosts
#$ -cwd
#$ -V
#$ -t 1-16
#$ -pe smp 8
#$ -l h_rt=01:00:00
#$ -notify
#
# Sixteen worker hosts of eight workers each (Grid Engine, qsub gridengine.sh), with HOIST_URL in the
# environment. The program itself runs wherever it reaches the Redis server:
#   HOIST_BACKEND=redis grid_search_redis --backend redis
# -notify sends SIGUSR2 a minute before the end: the host leaves, and its tasks run elsewhere.
( trap '' USR2 # which goes to all of the job
  HOIST_WORKER=$HOIST_URL HOIST_MAX_CPU_COUNT=$NSLOTS exec grid_search_redis ) &
host=$!
trap 'kill $host' USR2 TERM
wait $host
wait $host
