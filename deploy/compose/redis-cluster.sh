#!/bin/sh
# Forms a cluster of three masters and three replicas, unless it exists. The arguments are the addresses of the nodes.
set -eu
REDISCLI_AUTH=$(cat "$ADMIN_PASSWORD_FILE")
export REDISCLI_AUTH

cli() { redis-cli --tls --cacert "$CA_FILE" --user admin --no-auth-warning "$@"; }
is_ok() { cli -h "$1" cluster info | grep -q '^cluster_state:ok'; }

if [ "$(cli -h "$1" cluster info | tr -d '\r' | sed -n 's/^cluster_known_nodes://p')" -le 1 ]; then
  nodes=
  for address in "$@"; do nodes="$nodes $address:6379"; done
  # shellcheck disable=SC2086 # one word for each node
  cli --cluster create $nodes --cluster-replicas 1 --cluster-yes
fi
for address in "$@"; do
  until is_ok "$address"; do sleep 0.2; done
done
