#!/bin/sh
# Usage: prepare.sh DIRECTORY NODE NUMBER. Below DIRECTORY (/etc/kolla), makes the
# configuration of the pretended compute hosts NODE-2 to NODE-NUMBER from that of the
# node's own services. Prints "changed" when a host was added.
set -eu
umask 077
root=$1 node=$2 number=$3
computes=$root/enos-fake-computes agents=$root/enos-fake-agents
mkdir -p "$computes/hosts" "$agents"
names=
for each in $(seq 2 "$number"); do
    host=$node-$each place=$computes/hosts/$node-$each
    names="$names $host"
    mkdir -p "$place"
    sed "s/^host *=.*/host = $host/" "$root/nova-compute/nova.conf" |
        awk -v host="$host" '
            { print }
            /^\[DEFAULT\]/ && !done { print "log_file = /var/log/kolla/nova/nova-compute-" host ".log"; done = 1 }
        ' >"$place/nova.conf"
    grep -q "^host = $host" "$place/nova.conf" ||
        sed -i "s/^\[DEFAULT\]/[DEFAULT]\nhost = $host/" "$place/nova.conf"
    test -s "$place/compute_id" && continue
    cat /proc/sys/kernel/random/uuid >"$place/compute_id"
    echo changed
done
for gone in "$computes"/hosts/*; do
    case " $names " in *" $(basename "$gone") "*) ;; *) rm -r "$gone" ;; esac
done
cp "$root/neutron-openvswitch-agent/neutron.conf" "$agents/neutron.conf"
echo "$names" >"$agents/hosts"

files() { # OWNER NAME DESTINATION...
    owner=$1
    shift
    while test $# -gt 0; do
        printf '{"source": "/var/lib/kolla/config_files/%s", "dest": "%s", "owner": "%s", "perm": "0600"}' "$1" "$2" "$owner"
        shift 2
        test $# -gt 0 && printf ', '
    done
    return 0
}
cat >"$computes/config.json" <<JSON
{"command": "/var/lib/kolla/venv/bin/python /etc/nova/launch.py",
 "config_files": [$(files nova hosts /etc/nova/hosts launch.py /etc/nova/launch.py)],
 "permissions": [{"path": "/var/log/kolla/nova", "owner": "nova:nova", "recurse": true}]}
JSON
cat >"$agents/config.json" <<JSON
{"command": "/var/lib/kolla/venv/bin/python /etc/neutron/launch.py",
 "config_files": [$(files neutron neutron.conf /etc/neutron/neutron.conf hosts /etc/neutron/hosts launch.py /etc/neutron/launch.py)],
 "permissions": [{"path": "/var/log/kolla/neutron", "owner": "neutron:neutron", "recurse": true}]}
JSON
