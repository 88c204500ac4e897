# What a host does to go over to another emulation, in user space, without its links being
# bare in between. Sent behind `host.sh`. Before the daemon runs there is nothing to go
# over from: then all is made anew.
change() {
    guarded
    alive || clear_all
    mkdir -p "$FOLDER"
    cd "$FOLDER"
    rm -rf before
    mkdir before
    for file in ./*.tc raw4 raw6; do
        if [ -e "$file" ]; then mv "$file" before; fi
    done
}

# A device whose tree stays as it is keeps what waits there.
tree() {
    if cmp -s "$1.tc" "before/$1.tc"; then return; fi
    fell "$1"
    own "$1"
    tc -batch "$1.tc"
}

fell() {
    case $(tc qdisc show dev "$1" root) in
    "qdisc htb $HANDLE "*) tc qdisc del dev "$1" root ;;
    esac
}

tell_daemon() {
    # One that is just being started again reads them anyway.
    if alive; then kill -HUP "$(cat pid)" || true; else start_daemon; fi
}

await_classes() {
    tries=0
    until cmp -s classes.json served; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ]; then
            echo "the delay daemon does not take over other classes" >&2
            cat log >&2 || true
            exit 4
        fi
        sleep 0.05
    done
    await_queues "$@"
}

# A source that goes from one set to another is always in one that a rule names: first
# sets that are new, then rules, then the others, all in one go.
new_sets() {
    { echo none && ipset -n list; } >there
    awk 'NR == FNR { there[$1]; next } !($2 in there)' there sources.ipset | ipset restore
}

rules() { # VERSION iptables|ip6tables
    if [ ! -e "raw$1" ]; then
        remove_chain "$2" "$1"
    elif "$2" -w -t raw -S PREROUTING | grep -q -e "-j $CHAIN\$"; then
        grep -v '^-I PREROUTING' "raw$1" | "$2-restore" --noflush
    else
        "$2-restore" --noflush <"raw$1"
    fi
}

old_sets() {
    awk '
        NR == FNR { there[$1]; next }
        $2 in there { if ($1 == "create") names[$2]; $2 = $2 "-new"; print }
        END { for (name in names) print "swap", name, name "-new" }
        END { for (name in names) print "destroy", name "-new" }
    ' there sources.ipset | ipset restore
    while read -r name; do
        case $name in
        "${PREFIX}"all-[46] | "${PREFIX}"[0-9]*-[46])
            grep -q "^create $name " sources.ipset || ipset destroy "$name"
            ;;
        esac
    done <there
}

forget_before() {
    for file in before/*.tc; do
        device=$(basename "$file" .tc)
        if [ -e "$file" ] && [ ! -e "$device.tc" ]; then fell "$device"; fi
    done
    rm -rf before there
}
