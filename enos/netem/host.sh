# What a host does to make, check and remove its part of an emulated network.
# Sent to `sh -s` after the assignments of FOLDER, DAEMON, KEEPER, UNIT, CHAIN, PREFIX and
# HANDLE, and before the calls. Only what carries one of these names is ever removed.
set -eu
umask 077
PATH=$PATH:/usr/sbin:/sbin
QUEUES=/proc/net/netfilter/nfnetlink_queue

# One at a time: a script whose enos was killed may still be at work.
alone() {
    exec 9</run
    flock -w 100 9
}

# Of the keeper and the daemon, whichever lives: each notes its number in a file.
alive() {
    for name in keeper pid; do
        number=$(cat "$FOLDER/$name" 2>/dev/null) || continue
        if grep -qs "$FOLDER/" "/proc/$number/cmdline"; then return 0; fi
    done
    return 1
}

# The keeper leads a process group of its own.
stop_daemon() {
    alive || return 0
    kill -- "-$(cat "$FOLDER/keeper")" 2>/dev/null || return 0
    tries=0
    while alive && [ $tries -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
}

remove_chain() {
    command -v "$1" >/dev/null || return 0
    "$1" -w -t raw -nL "$CHAIN" >/dev/null 2>&1 || return 0
    "$1" -w -t raw -D PREROUTING -m set --match-set "${PREFIX}all-$2" src \
        -j "$CHAIN" 2>/dev/null || true
    "$1" -w -t raw -F "$CHAIN"
    "$1" -w -t raw -X "$CHAIN"
}

remove_sets() {
    command -v ipset >/dev/null || return 0
    ipset -n list | while read -r name; do
        case $name in
        "${PREFIX}"all-[46]* | "${PREFIX}"[0-9]*-[46]*) ipset destroy "$name" ;;
        esac
    done
}

# Packets a daemon holds when it ends are lost: first the rules, then the daemon.
clear_all() {
    remove_chain iptables 4
    remove_chain ip6tables 6
    stop_daemon
    remove_sets
    tc qdisc show | while read -r _ kind handle _ device _; do
        if [ "$kind $handle" = "htb $HANDLE" ]; then
            tc qdisc del dev "$device" root
        fi
    done
    cd /
    rm -rf "$FOLDER"
}

# Ended early (a refused command, a lost connection, which may cut this script itself
# short): leave nothing half made. The last line of the script says `complete=yes`.
guarded() {
    alone
    complete=no
    trap 'code=$?; [ "$code $complete" = "0 yes" ] || abandon $code' EXIT
    trap 'exit 129' HUP INT TERM PIPE
}

all_or_nothing() {
    guarded
    clear_all
    mkdir -p "$FOLDER"
    cd "$FOLDER"
}

abandon() {
    clear_all
    [ "$1" != 0 ] || echo "the commands ended early" >&2
    exit $(($1 ? $1 : 5))
}

own() {
    ip link show dev "$1" >/dev/null
    tc qdisc show | while read -r _ kind handle _ device place _; do
        if [ "$device $place" = "$1 root" ] && [ "$handle" != 0: ]; then
            echo "$1 has a queueing discipline of its own: $kind $handle" >&2
            exit 3
        fi
    done
}

start_daemon() {
    set -- "$(command -v sh)" "$FOLDER/$KEEPER" "$(command -v python3)"
    if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
        systemctl stop "$UNIT" 2>/dev/null || true # the one before, still ending
        # The keeper outlives a daemon that the kernel ends for want of memory.
        systemd-run --quiet --collect --unit "$UNIT" --property OOMPolicy=continue \
            "$@" 9<&-
    else
        env -i PATH="$PATH" setsid "$@" </dev/null >/dev/null 2>&1 9<&- &
    fi
}

# What the keeper does: whenever the daemon dies, note it and start it again, since links
# are half shaped meanwhile; when that does not help, free the host of all of it.
keep() { # PYTHON
    cd "$FOLDER"
    echo $$ >keeper
    deaths=0
    while [ $deaths -lt 3 ]; do
        code=0
        "$1" "$FOLDER/$DAEMON" classes.json pid >>log 2>&1 || code=$?
        deaths=$((deaths + 1))
        echo "$(date -u +%Y-%m-%dT%H:%M:%SZ), exit code $code" >>deaths
    done
    alone
    noted=$(cat deaths)
    rm keeper
    clear_all
    mkdir -p "$FOLDER"
    echo "$noted" >"$FOLDER/deaths"
}

await_queues() {
    tries=0
    for queue in "$@"; do
        until grep -qs "^ *$queue " $QUEUES; do
            tries=$((tries + 1))
            if [ $tries -gt 200 ] || [ -s "$FOLDER/deaths" ]; then
                echo "the delay daemon does not read queue $queue" >&2
                cat "$FOLDER/log" >&2 || true
                exit 4
            fi
            sleep 0.05
        done
    done
}

# Read back, one section each, for enos to compare with the plan.
report() {
    for device in "$@"; do
        echo "[tree $device]"
        tc class show dev "$device" || true
        tc -j qdisc show dev "$device" || true
        echo
        tc filter show dev "$device" parent "$HANDLE" 2>/dev/null || true
    done
    echo "[queues]"
    cat $QUEUES 2>/dev/null || true
    echo "[classes]"
    cat "$FOLDER/served" 2>/dev/null || true
    echo "[sets]"
    if command -v ipset >/dev/null; then
        ipset save | grep "^add $PREFIX" || true
    fi
    echo "[chains]"
    for tables in iptables ip6tables; do
        command -v $tables >/dev/null || continue
        $tables -w -t raw -S 2>/dev/null | grep -e "$CHAIN" || true
    done
    echo "[deaths]"
    cat "$FOLDER/deaths" 2>/dev/null || true
    echo "[end]"
}

# What this kernel and system can do, tried in a network namespace that ends with it.
probe() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare -n sh -c '
        can() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "$name"; fi; }
        # Some kernels (6.12.50, 6.18) refuse a second netem beside one with copies.
        copies() {
            tc qdisc del dev lo root
            tc qdisc add dev lo root handle 1: htb &&
                tc class add dev lo parent 1: classid 1:1 htb rate 1gbit &&
                tc class add dev lo parent 1: classid 1:2 htb rate 1gbit &&
                tc qdisc add dev lo parent 1:1 netem duplicate 1% &&
                tc qdisc add dev lo parent 1:2 netem delay 1ms
        }
        ip link set lo up
        can htb tc qdisc add dev lo root handle 1: htb
        can netem tc qdisc replace dev lo root netem delay 1ms
        can copies copies
        can ipset ipset create probe4 hash:ip
        can nfqueue iptables -t raw -A PREROUTING -m set --match-set probe4 src \
            -j NFQUEUE --queue-num 1 --queue-bypass
        ipset create probe6 hash:ip family inet6 >/dev/null 2>&1
        can nfqueue6 ip6tables -t raw -A PREROUTING -m set --match-set probe6 src \
            -j NFQUEUE --queue-num 1 --queue-bypass
        can queues test -e /proc/self/net/netfilter/nfnetlink_queue
    '
    for program in tc iperf3 python3; do
        if command -v $program >/dev/null; then echo $program; fi
    done
}
