#!/bin/sh
# Usage: discover.sh ENGINE NUMBER. Maps compute hosts to their cell until there are
# NUMBER of them; prints "changed" when some were mapped. Fails after three minutes.
set -u
manage() { "$1" exec nova_conductor nova-manage cell_v2 "$2" ${3:+"$3"} 2>/dev/null; }
deadline=$(($(date +%s) + 180))
while :; do
    mapped=$(manage "$1" list_hosts | grep -c '^| .* |$')
    test $((mapped - 1)) -ge "$2" && exit 0
    test "$(date +%s)" -gt "$deadline" && break
    manage "$1" discover_hosts --by-service >/dev/null && echo changed
    sleep 2
done
echo "$((mapped - 1)) of $2 compute hosts are in a cell" >&2
exit 1
