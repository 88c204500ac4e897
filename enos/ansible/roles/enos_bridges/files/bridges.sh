#!/bin/sh
# Usage: bridges.sh EXTERNAL[,EXTERNAL…] TUNNEL DEVICE|- ADDRESS/LENGTH|- WIRE|-
# Gives the external bridges that exist the user-space datapath, and puts DEVICE and
# its ADDRESS on the bridge TUNNEL, with WIRE, a bridge of the kernel, in between. Prints
# "changed" when it did something. Fails while the switch does not answer; may then be
# run again. What a boot takes away, a unit of systemd then makes again.
set -eu
KEPT=/usr/local/sbin/enos-bridges
UNIT=/etc/systemd/system/enos-bridges.service
vsctl() { docker exec openvswitch_vswitchd ovs-vsctl --timeout=30 "$@"; }

for bridge in $(echo "$1" | tr , ' '); do
    # 2: there is no such bridge (ovs-vsctl(8)); anything else is no answer.
    vsctl br-exists "$bridge" || { test $? = 2 && continue || exit 1; }
    datapath=$(vsctl get bridge "$bridge" datapath_type)
    test "$datapath" = netdev && continue
    vsctl set bridge "$bridge" datapath_type=netdev
    echo changed
done

# Checksums left to a virtual interface are never filled in on the way of the switch.
fill_in() { command -v ethtool >/dev/null && ethtool -K "$1" tx off >/dev/null || true; }

# Puts the bridge $2 before device $1, since what the switch takes from a device itself
# never meets iptables, and so no queue of delayed packets. Bridged packets do.
lay_wire() {
    mtu=$(cat "/sys/class/net/$1/mtu")
    test -e "/sys/class/net/$2" || ip link add "$2" type bridge
    test -e "/sys/class/net/$2-0" || ip link add "$2-0" type veth peer name "$2-1"
    for port in "$1" "$2-0"; do ip link set dev "$port" master "$2"; done
    for end in "$2-0" "$2-1"; do
        ip link set dev "$end" mtu "$mtu" up
        fill_in "$end"
    done
    ip link set dev "$2" up
    # Docker may drop what it did not ask for. The program of IPv6 may be there without its
    # table in the kernel: then nothing is dropped either, and tunnels have IPv4 addresses.
    for tables in iptables ip6tables; do
        command -v $tables >/dev/null || continue
        $tables -w -C FORWARD -i "$2" -o "$2" -j ACCEPT 2>/dev/null ||
            $tables -w -I FORWARD -i "$2" -o "$2" -j ACCEPT || test $tables = ip6tables
    done
}

# Kept as a program that runs when Docker does, until the switch answers.
keep() {
    test -d /run/systemd/system && test "$0" != "$KEPT" || return 0
    cmp -s "$0" "$KEPT" && grep -qsxF "ExecStart=$KEPT $*" "$UNIT" && return 0
    install -m 755 "$0" "$KEPT"
    cat >"$UNIT" <<END
[Unit]
Description=Bridges of Open vSwitch in user space, as enos makes them
After=docker.service
StartLimitIntervalSec=0
[Service]
Type=oneshot
ExecStart=$KEPT $*
Restart=on-failure
RestartSec=2
[Install]
WantedBy=multi-user.target
END
    systemctl daemon-reload
    systemctl --quiet enable "${UNIT##*/}"
    echo changed
}

test "$3" = - && exit 0
keep "$@"
if ! ip -o address show dev "$2" 2>/dev/null | grep -qF " $4 "; then
    port=$3
    if test "$5" != -; then
        lay_wire "$3" "$5"
        port=$5-1
    fi
    vsctl --may-exist add-br "$2" -- set bridge "$2" datapath_type=netdev \
        fail_mode=standalone -- --may-exist add-port "$2" "$port"
    ip address flush dev "$3"
    ip link set dev "$3" up
    fill_in "$3"
    ip address replace "$4" dev "$2"
    ip link set dev "$2" up
    echo changed
fi
