"""The accounts by which agents ask Kolla's services how they are. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

Accounts = dict[str, dict[str, dict[str, object]]]

GROUPS = {
    "rabbitmq": "rabbitmq",
    "mariadb": "mariadb",
    "memcached": "memcached",
    "haproxy": "loadbalancer",
}
"""service, which is also its container's name → group of kolla-ansible's inventory."""

PORTS = {
    "rabbitmq": ("rabbitmq_management_port", 15672),
    "mariadb": ("mariadb_port", 3306),
    "memcached": ("memcached_port", 11211),
    "haproxy": ("haproxy_stats_port", 1984),
}
USERS = {
    "rabbitmq": ("rabbitmq_user", "openstack", "rabbitmq_password"),
    "mariadb": ("database_user", "root", "database_password"),
    "haproxy": ("haproxy_user", "openstack", "haproxy_password"),
}
"""service → variable of its user, kolla's default, variable of the password."""

_OFF = frozenset({"no", "false", "off", "0"})


def accounts(
    members: Mapping[str, Sequence[str]],
    variables: Mapping[str, Any],
    passwords: Mapping[str, Any],
) -> Accounts:
    """Return host → service → port and account, of the services that are deployed.

    Args:
        members: group of the inventory → its hosts.
        variables: of the deployment, where kolla's defaults do not hold.
        passwords: kolla's `passwords.yml`.

    """
    told: Accounts = {}
    for service, group in GROUPS.items():
        if str(variables.get(f"enable_{service}", "yes")).lower() in _OFF:
            continue
        name, usual = PORTS[service]
        account: dict[str, object] = {"port": int(variables.get(name, usual))}
        if service in USERS:
            user, default, password = USERS[service]
            account["user"] = str(variables.get(user, default))
            account["password"] = str(passwords.get(password, ""))
        for host in members.get(group, ()):
            told.setdefault(host, {})[service] = account
    return told
