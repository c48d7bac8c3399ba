#!/usr/bin/env bash
# redis-benchmark: `bash redis-benchmark.sh TRANSPORT WHERE CA PROTOCOL`.
set -euo pipefail
transport=$1 where=$2 ca=$3 protocol=$4

# [connect]
case $transport in
  tcp) client=(redis-benchmark -h 127.0.0.1 -p "$where") ;;
  tls) client=(redis-benchmark -h 127.0.0.1 -p "$where" --tls --cacert "$ca") ;;
  unix) client=(redis-benchmark -s "$where") ;;
esac
[ "$protocol" = default ] || client+=("-$protocol")
# [/connect]

echo "version $(redis-benchmark --version | cut -d" " -f2)"
for name in ping_inline ping_mbulk set get incr mset; do
  # An error reply ends it with a message. A progress line ends with a carriage return.
  printed=$("${client[@]}" -q -c 20 -n 2000 -P 4 -r 1000 -t "$name" 2>&1 | tr '\r' '\n') || true
  if grep -qiE 'error|warning|could not' <<<"$printed" ||
    ! grep -qE '^[A-Z].*: [0-9.]+ requests per second' <<<"$printed"; then
    echo "$name: $printed" >&2
    exit 1
  fi
  echo "ok $name"
done
