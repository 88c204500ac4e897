#!/bin/sh
# The two checks that kolla-ansible asks for, of the ones MariaDB's own image offers:
#   healthcheck.sh --defaults-file FILE [--connect] [--galera_online]
set -eu
file=/etc/mysql/my.cnf
status() {
    mariadb --defaults-file="$file" --skip-column-names --batch --execute \
        "SELECT variable_value FROM information_schema.global_status WHERE variable_name = '$1'"
}
while [ $# -gt 0 ]; do
    case $1 in
        --defaults-file) file=$2; shift ;;
        --connect) mariadb-admin --defaults-file="$file" ping >/dev/null ;;
        --galera_online) [ "$(status wsrep_local_state)" = 4 ] ;; # Synced
        *) echo "healthcheck.sh: $1 is not known here" >&2; exit 2 ;;
    esac
    shift
done
