#!/usr/bin/env bash
# redis-cli: `bash redis-cli.sh TRANSPORT WHERE CA PROTOCOL`.
set -euo pipefail
transport=$1 where=$2 ca=$3 protocol=$4

# [connect]
case $transport in
  tcp) client=(redis-cli -h 127.0.0.1 -p "$where") ;;
  tls) client=(redis-cli -h 127.0.0.1 -p "$where" --tls --cacert "$ca") ;;
  unix) client=(redis-cli -s "$where") ;;
esac
[ "$protocol" = default ] || client+=("-$protocol")
# [/connect]

ask() {
  "${client[@]}" "$@"
}

# is EXPECTED WORD...: what redis-cli prints of that request.
is() {
  local expected=$1 printed
  shift
  printed=$(ask --no-raw "$@")
  [ "$printed" = "$expected" ] || { echo "$*: '$printed' instead of '$expected'" >&2; exit 1; }
}

# same WHAT PRINTED EXPECTED
same() {
  [ "$2" = "$3" ] || { echo "$1: '$2' instead of '$3'" >&2; exit 1; }
}

echo "version $(redis-cli --version | cut -d" " -f2)"
is OK FLUSHALL

is "(integer) 0" SETBIT k 7 1
is "(integer) 1" SETBIT k 7 1
is "(integer) 0" SETBIT k 100000 1
is "(integer) 1" GETBIT k 7
is "(integer) 0" GETBIT k 8
is "(integer) 2" BITCOUNT k
echo "ok bits"

is OK SET a abc
is OK SET b ab
is "(integer) 3" BITOP AND and a b
is '"ab\x00"' GET and
echo "ok bitop"

# A value from stdin; a key has no zero byte here, because words of a command line have none.
every_byte=$(printf '\\x%02x' {0..255})
key=$(printf '%b' "$(printf '\\x%02x' {1..255})x")
same SET "$(printf '%b' "$every_byte" | ask -x SET "$key")" OK
same GET "$(ask GET "$key" | od -An -v -tx1 | xargs)" "$(printf '%b\n' "$every_byte" | od -An -v -tx1 | xargs)"
is "(nil)" GET missing
echo "ok bytes"

is "(integer) 1" EXPIRE k 100
seconds=$(ask TTL k)
[ "$seconds" -gt 90 ] || { echo "TTL: $seconds" >&2; exit 1; }
is "(integer) 1" PERSIST k
is "(integer) -1" TTL k
echo "ok deadlines"

is OK MSET p:1 1 p:2 2 q:1 3
same KEYS "$(ask KEYS 'p:*' | sort | xargs)" "p:1 p:2"
same SCAN "$(ask --scan --pattern '?:1' | sort | xargs)" "p:1 q:1"
is "(integer) 2" DEL p:1 p:2 missing
echo "ok keys"

replies=$(printf 'MULTI\nSETBIT t 1 1\nSETBIT t 2 1\nBITCOUNT t\nEXEC\n' | ask | xargs)
same MULTI "$replies" "OK QUEUED QUEUED QUEUED 0 0 2"
echo "ok transaction"

piped=$(for bit in {0..999}; do echo "SETBIT many $bit 1"; done | ask --pipe | tail -1)
same --pipe "$piped" "errors: 0, replies: 1000"
is "(integer) 1000" BITCOUNT many
echo "ok pipeline"

is "(error) ERR bit offset is not an integer or out of range" SETBIT k -1 1
is PONG PING
echo "ok error"

# The subscriber goes on until what reads it has read enough.
exec {subscriber}< <(exec "${client[@]}" SUBSCRIBE news)
read_line() {
  local line
  IFS= read -r -t 10 -u "$subscriber" line && printf '%s' "$line"
}
same SUBSCRIBE "$(read_line) $(read_line) $(read_line)" "subscribe news 1"
printf '%b' '\xff\x01 last' | ask -x PUBLISH news | { read -r heard; same PUBLISH "$heard" 1; }
same message "$(read_line) $(read_line) $(read_line)" $'message news \xff\x01 last'
kill "$!"
echo "ok channels"

echo "self $(ask CLIENT INFO)"
