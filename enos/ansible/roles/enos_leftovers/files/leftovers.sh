#!/bin/sh
# Usage: leftovers.sh ENGINE. Removes what an interrupted deployment leaves in the way
# of the next one; prints what it removed, a line each.
set -u
engine=$1
command -v "$engine" >/dev/null || exit 0

# Created and never started: the next run stops at a conflict of names. Only Kolla's, by
# the label of its images, and enos's: other containers are the machine's owner's.
created() { "$engine" ps --all --quiet --filter status=created --filter "$1"; }
for container in $({ created label=kolla_version; created name=^enos_; } | sort -u); do
    "$engine" rm --force "$container" >/dev/null && echo "container $container"
done

# A database whose first start was interrupted: kolla-ansible takes its volume for a
# complete one and waits for it in vain. It is complete once kolla has given the
# container of that name its unit; without a database of a service nothing is lost.
data=$("$engine" volume inspect --format '{{.Mountpoint}}' mariadb 2>/dev/null) || exit 0
test -e /etc/systemd/system/kolla-mariadb-container.service &&
    test -e "$data/mysql/global_priv.MAI" -o -e "$data/mysql/global_priv.frm" && exit 0
for entry in "$data"/*/; do
    case $(basename "$entry") in
    '*' | '#'* | lost+found | mysql | performance_schema | sys | test) ;;
    *) exit 0 ;;
    esac
done
"$engine" rm --force mariadb bootstrap_mariadb >/dev/null 2>&1
rm -f /etc/systemd/system/kolla-mariadb-container.service
"$engine" volume rm --force mariadb >/dev/null && echo "volume mariadb"
exit 0
