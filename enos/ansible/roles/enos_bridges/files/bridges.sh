#!/bin/sh
# Usage: bridges.sh EXTERNAL[,EXTERNAL…] TUNNEL DEVICE|- ADDRESS/LENGTH|-
# Gives the external bridges that exist the user-space datapath, and puts DEVICE and
# its ADDRESS on the bridge TUNNEL. Prints "changed" when it did something. Fails while the
# switch does not answer; may then be run again.
set -eu
vsctl() { docker exec openvswitch_vswitchd ovs-vsctl --timeout=30 "$@"; }

for bridge in $(echo "$1" | tr , ' '); do
    # 2: there is no such bridge (ovs-vsctl(8)); anything else is no answer.
    vsctl br-exists "$bridge" || { test $? = 2 && continue || exit 1; }
    datapath=$(vsctl get bridge "$bridge" datapath_type)
    test "$datapath" = netdev && continue
    vsctl set bridge "$bridge" datapath_type=netdev
    echo changed
done

test "$3" = - && exit 0
if ! ip -o address show dev "$2" 2>/dev/null | grep -qF " $4 "; then
    vsctl --may-exist add-br "$2" -- set bridge "$2" datapath_type=netdev \
        fail_mode=standalone -- --may-exist add-port "$2" "$3"
    ip address flush dev "$3"
    ip link set dev "$3" up
    ip address replace "$4" dev "$2"
    ip link set dev "$2" up
    # Checksums left to a virtual interface are never filled in on this path.
    command -v ethtool >/dev/null && ethtool -K "$3" tx off >/dev/null || true
    echo changed
fi
