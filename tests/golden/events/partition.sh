FOLDER=/run/enos-events
UNIT=enos-events
LEASE=30
TABLE=enos_events
ABSENCE='table inet enos_events { }
delete table inet enos_events
table netdev enos_events { }
delete table netdev enos_events'
KEPT=''
# What a host does for the events of a run, and how it undoes them by itself.
# Sent to `sh -s` after the assignments of FOLDER, UNIT, LEASE, TABLE, ABSENCE and KEPT,
# and before the calls; also kept in FOLDER as the program of the watch, which heals the
# host when enos has not renewed the lease for LEASE seconds.
set -eu
umask 077
PATH=$PATH:/usr/sbin:/sbin

# One at a time: the watch, and scripts whose enos was killed, may be at work as well.
alone() {
    cd "$FOLDER"
    exec 8<"$FOLDER"
    flock -w 100 8
}

# --- beginning and end -------------------------------------------------------------

# Make the folder; what an earlier run left here is healed first.
settle() {
    mkdir -p "$FOLDER"
    alone
    end_watch
    heal
    rm -f armed healed lease ./*.undo
}

arm() {
    echo begun >lease
    : >armed
    set --
    for name in $KEPT; do
        eval "value=\${$name-}"
        # shellcheck disable=SC2154 # set by eval
        [ -z "$value" ] || set -- "$@" "$name=$value"
    done
    if [ -d /run/systemd/system ] && [ "$(id -u)" = 0 ] &&
        command -v systemd-run >/dev/null; then
        systemd-run --quiet --collect --unit "$UNIT" \
            env "$@" sh "$FOLDER/events.sh" watch 8<&-
    else
        env -i PATH="$PATH" "$@" setsid sh "$FOLDER/events.sh" watch \
            </dev/null >"$FOLDER/log" 2>&1 8<&- &
    fi
}

# Nothing may change where nobody would undo it.
enter() {
    [ -e "$FOLDER/armed" ] || healed_itself
    alone
    [ -e armed ] || healed_itself
}

# Without the lock: stopping a service may take longer than the lease.
renew() {
    [ -e "$FOLDER/armed" ] || healed_itself
    echo "$1" >"$FOLDER/lease"
}

healed_itself() {
    echo "the host has healed itself: enos did not renew its lease in time" >&2
    exit 5
}

# Heal, end the watch, leave nothing; print when the host healed by itself, if it did.
finish() {
    [ -d "$FOLDER" ] || return 0
    alone
    heal
    rm -f armed
    end_watch
    if [ -e healed ]; then cat healed; fi
    cd /
    rm -rf "$FOLDER"
}

# --- the watch -----------------------------------------------------------------------

# Counts its own seconds: a machine that is paused does not use up its lease.
watch() {
    cd "$FOLDER"
    echo $$ >watch.pid
    left=$LEASE
    seen=
    while [ -e armed ]; do
        sleep 1
        beat=$(cat lease 2>/dev/null) || beat=
        if [ "$beat" != "$seen" ]; then
            seen=$beat
            left=$LEASE
        elif left=$((left - 1)) && [ "$left" -le 0 ]; then
            sh "$FOLDER/events.sh" expire "$seen" || left=3
        fi
    done
}

expire() {
    [ -e "$FOLDER/armed" ] || return 0
    alone
    [ "$(cat lease)" = "$1" ] || return 0
    heal
    date +%s.%N >healed
    rm -f armed
}

end_watch() {
    pid=$(cat watch.pid 2>/dev/null) || return 0
    if grep -qs events.sh "/proc/$pid/cmdline"; then kill "$pid" 2>/dev/null || true; fi
    if [ -d /run/systemd/system ]; then # else its name may not be free again yet
        systemctl stop "$UNIT" >/dev/null 2>&1 || true
    fi
    rm -f watch.pid
}

# --- changes and their undoing -------------------------------------------------------

# What has a file NAME.undo is undone by it, once NAME has begun.
begin() {
    : >"$1.begun"
}

heal() {
    failed=0
    uncut || failed=1
    for list in paused stopped; do
        [ -e $list ] || continue
        for container in $(cat $list); do
            gone "$container" || un$list "$container" || failed=1
        done
        [ $failed = 1 ] || rm $list
    done
    for begun in *.begun; do
        [ -e "$begun" ] || continue
        if sh "${begun%.begun}.undo" 8<&-; then rm -f "$begun"; else failed=1; fi
    done
    return $failed
}

emulate() {
    begin network
    sh ./network.sh 8<&-
}

cut() {
    nft -f cut.nft
}

uncut() {
    command -v nft >/dev/null || return 0
    nft list tables | grep -q " $TABLE\$" || return 0
    nft -f - <<EOF
$ABSENCE
EOF
}

# --- services, which are containers --------------------------------------------------

engine() {
    for program in docker podman; do
        if command -v $program >/dev/null; then
            $program "$@"
            return
        fi
    done
    echo "neither docker nor podman is installed" >&2
    return 1
}

status() {
    engine inspect --type container --format '{{.State.Status}}' "$1"
}

# Nothing is left to undo for a container that was removed meanwhile. Where the engine
# does not answer, none is gone.
gone() {
    all=$(engine ps --all --format '{{.Names}}') || return 1
    ! echo "$all" | grep -qx "$1"
}

GRACE=10 # seconds a service has to end by itself, as with `docker stop`

# Kolla lets systemd run its containers: it would start again what only Docker stopped.
unit() {
    [ -d /run/systemd/system ] && systemctl cat "kolla-$1-container" >/dev/null 2>&1
}

# Keep the name in a list first: killed in between, the watch knows what to look at.
note() {
    grep -qsx "$2" "$1" || echo "$2" >>"$1"
}

forget() {
    grep -vx "$2" "$1" >"$1.part" || true
    mv "$1.part" "$1"
}

require_running() {
    now=$(status "$1")
    if [ "$now" != running ]; then
        echo "the container $1 is $now" >&2
        return 3
    fi
}

# systemd is told first, so that it does not start the container again; its own stop
# waits as long as Kolla grants, a minute for some, so that it is not left to it alone.
stop() {
    grep -qsx "$1" stopped || require_running "$1" || return
    note stopped "$1"
    if unit "$1"; then systemctl stop --no-block "kolla-$1-container"; fi
    engine stop -t "$GRACE" "$1" >/dev/null
    if unit "$1"; then systemctl stop "kolla-$1-container"; fi
}

unstopped() {
    if unit "$1"; then systemctl start "kolla-$1-container"; else engine start "$1" >/dev/null; fi
}

start() {
    unstopped "$1"
    forget stopped "$1"
}

pause() {
    [ "$(status "$1")" = paused ] || require_running "$1" || return
    note paused "$1"
    [ "$(status "$1")" = paused ] || engine pause "$1" >/dev/null
}

unpaused() {
    [ "$(status "$1")" != paused ] || engine unpause "$1" >/dev/null
}

unpause() {
    unpaused "$1"
    forget paused "$1"
}

# --- looking -------------------------------------------------------------------------

# What this host can do and has: `can WORD` and `container NAME`, a line each.
look() {
    for program in nft flock; do
        if command -v $program >/dev/null; then echo "can $program"; fi
    done
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare -n sh -c '
        ip link set lo up
        nft "add table netdev t; add chain netdev t c \
            { type filter hook egress device lo priority 0; }"
    ' >/dev/null 2>&1 && echo "can egress"
    engine ps --all --format 'container {{.Names}}' 2>/dev/null || true
}

enter
cat > cut.nft <<'END-OF-FILE-BY-ENOS-cut.nft'
table inet enos_events { }
delete table inet enos_events
table netdev enos_events { }
delete table netdev enos_events
table inet enos_events {
  set peers4 { type ipv4_addr; elements = { 10.0.0.2, 10.0.0.250, 10.0.1.2 }; }
  set peers6 { type ipv6_addr; elements = { fd00::2 }; }
  chain arriving {
    type filter hook prerouting priority -310;
    ip saddr @peers4 drop
    ip6 saddr @peers6 drop
  }
  chain leaving {
    type filter hook output priority -310;
    ip daddr @peers4 drop
    ip6 daddr @peers6 drop
  }
}
table netdev enos_events {
  set peers4 { type ipv4_addr; elements = { 10.0.0.2, 10.0.0.250, 10.0.1.2 }; }
  set peers6 { type ipv6_addr; elements = { fd00::2 }; }
  chain leaving0 {
    type filter hook egress device "eth0" priority 0;
    ip daddr @peers4 drop
    ip6 daddr @peers6 drop
  }
  chain leaving1 {
    type filter hook egress device "eth1" priority 0;
    ip daddr @peers4 drop
    ip6 daddr @peers6 drop
  }
}
END-OF-FILE-BY-ENOS-cut.nft
cut
