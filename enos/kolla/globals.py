"""`globals.yml`: kolla's defaults stay unsaid, then enos's choices, then the user's.

Everything in this file reaches Ansible as extra variables, which win over those of
hosts and groups. So only what differs from kolla's defaults may be written, and never
what the inventory says host by host, such as interfaces.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import yaml

from enos.ansible.inventory import Inventory
from enos.errors import ConfigError
from enos.kolla import fronted
from enos.kolla.nodes import Node
from enos.testbed import Testbed

LEAN: Mapping[str, str] = {
    "enable_fluentd": "no",
    "enable_heat": "no",
    "enable_horizon": "no",
    "nova_console": "none",
}
"""On by kolla's defaults, off here unless the experiment turns them on."""

POINTS: Mapping[str, str] = {
    "valkey": "redis://default:{{ valkey_master_password }}"
    "@{{ 'api' | kolla_address(groups['valkey'][0]) | put_address_in_context('url') }}"
    ":{{ valkey_server_port }}/0",
    "redis": "redis://default:{{ redis_master_password }}"
    "@{{ 'api' | kolla_address(groups['redis'][0]) | put_address_in_context('url') }}"
    ":{{ redis_port }}/0",
}
"""Service that keeps trace points → its address, worked out by Ansible."""

MERGED = frozenset({"node_custom_config"})
"""Of the user's map, what never reaches kolla: its folder is merged into enos's."""

SMALL = 2
"""With so few processors, one worker process per service and rare health checks."""

RARELY = 120
"""Seconds between health checks of a container there; kolla's default is 30."""

VIP = "kolla_internal_vip_address"
MEMBERS = (
    "{% for host in mariadb_default_database_shard_hosts %}"
    " server {{ host }} {{ 'api' | kolla_address(host) }}:{{ mariadb_port }}"
    " check port {{ mariadb_port }} inter 2000 rise 2 fall 5"
    "{% if not loop.first %} backup{% endif %};{% endfor %}"
)
"""kolla's own, with addresses: haproxy gives up on a name it cannot look up."""

CONNECTIONS = 4000
"""haproxy's where limits are fixed: each takes two open files, and it does not start
when it may not open as many. Kolla's 40000 take more than is common there, 20000."""

Values = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the choices are made from.

    Attributes:
        session: id of the experiment.
        inventory: with every group filled.
        nodes: host name → what it can do.
        virt: ``qemu``, ``kvm`` or ``fake``.
        images: variables that say where container images come from.
        profiled: whether requests can be traced.
        store: service of the release that keeps trace points, ``valkey`` or ``redis``.
        clustercheck: the release has a container that tells haproxy of a database.
        setting: a kolla variable → its value as a word, None when only Ansible knows.
        user: the `kolla:` map of the experiment, which wins over everything.

    """

    session: str
    testbed: Testbed
    inventory: Inventory
    nodes: Mapping[str, Node]
    virt: str = "qemu"
    images: Mapping[str, Any] = field(default_factory=dict)
    profiled: bool = False
    store: str = "valkey"
    clustercheck: bool = False
    setting: fronted.Setting = lambda _: None
    user: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Globals:
    """The content of `globals.yml` and the choices behind it, a sentence each."""

    values: Mapping[str, Any]
    decisions: tuple[str, ...]


def plan_globals(situation: Situation) -> Globals:
    """Return the variables of the deployment; raises ConfigError without a VIP."""
    rules: tuple[Callable[[Situation], tuple[Values, str]], ...] = (
        _lean,
        _entry_point,
        _database,
        _connections,
        _workers,
        _limits,
        _sysctl,
        _datapath,
        _clock,
        _wrappers,
        _migration,
        _profiler,
        _virtualisation,
    )
    values: Values = dict(situation.images)
    decisions = []
    for rule in rules:
        chosen, why = rule(situation)
        mine = {k: v for k, v in chosen.items() if k not in situation.user}
        values |= mine
        if mine and why:
            decisions.append(why)
    user = {k: v for k, v in situation.user.items() if k not in MERGED}
    return Globals(values={**values, **user}, decisions=tuple(decisions))


def render(values: Mapping[str, Any]) -> str:
    """Return the variables as the text of `globals.yml`."""
    head = "# Written by enos from the experiment file; changes are lost.\n"
    return head + yaml.safe_dump(dict(values), sort_keys=False, width=1000)


def is_on(value: object) -> bool:
    """Tell whether a value is true in Ansible's eyes (``yes``, ``True``, 1)."""
    return str(value).lower() in {"true", "yes", "on", "1", "y", "t"}


def _lean(_: Situation) -> tuple[Values, str]:
    told = "fluentd, Heat, Horizon and VNC are off unless `kolla:` turns them on"
    return dict(LEAN), told


def _entry_point(situation: Situation) -> tuple[Values, str]:
    why = _balanced(situation)
    if why:
        return _virtual_address(situation, why)
    control = situation.inventory.members("control")[0]
    host = situation.testbed.host(control)
    own = situation.testbed.address(host, "api") if host else control
    address = situation.user.get(VIP, own)
    values: Values = {VIP: address, "enable_haproxy": "no", "enable_keepalived": "no"}
    forbidden = "enable_haproxy" in situation.user
    why = "`kolla:` wants none" if forbidden else "one host serves all APIs"
    return values, f"{why}: no load balancer, clients use {address}"


def _balanced(situation: Situation) -> str:
    """Return why there is a load balancer, empty for none."""
    user = situation.user
    wanted = user.get("enable_haproxy")
    if wanted is not None and not is_on(wanted):
        return ""
    secure = ("kolla_enable_tls_internal", "kolla_enable_tls_external")
    reasons = (
        (VIP in user, "`kolla:` names the address of the APIs"),
        (is_on(wanted), "`kolla:` asks for the load balancer"),
        (any(is_on(user.get(name)) for name in secure), "TLS ends at a load balancer"),
    )
    told = next((why for holds, why in reasons if holds), "")
    return told or fronted.spread(situation.inventory, situation.setting)


def _virtual_address(situation: Situation, why: str) -> tuple[Values, str]:
    network = situation.testbed.network("api")
    pool = network.pool if network else None
    address = situation.user.get(VIP) or (pool[0] if pool else "")
    if not address:
        message = "a virtual address is needed but no network has free addresses"
        hint = "set `kolla: {kolla_internal_vip_address: …}` to a free address"
        raise ConfigError(message, hint=hint, details=why)
    router = crc32(situation.session.encode()) % 254 + 1
    values: Values = {
        VIP: address,
        "enable_haproxy": "yes",
        "keepalived_virtual_router_id": str(router),
        # Clouds and overlays drop VRRP's multicast, and then everyone is the master.
        "keepalived_traffic_mode": "unicast",
    }
    return values, f"{why}: haproxy on {address}"


def _database(situation: Situation) -> tuple[Values, str]:
    """Reach MariaDB without ProxySQL, which no Debian has and few machines need."""
    if is_on(situation.user.get("enable_proxysql")):
        return {}, ""
    values: Values = {"enable_proxysql": "no"}
    if situation.clustercheck:
        values["enable_mariadb_clustercheck"] = "no"
    if not _balanced(situation) or not is_on(situation.user.get("enable_mariadb", 1)):
        return values, ""
    values["enable_external_mariadb_load_balancer"] = "yes"
    values["external_haproxy_members"] = MEMBERS
    return values, "haproxy leads to one MariaDB, to the next when that one fails"


def _connections(situation: Situation) -> tuple[Values, str]:
    balancers = situation.inventory.members("loadbalancer")
    fixed = any(not situation.nodes[name].limits for name in balancers)
    if not fixed or not _balanced(situation):
        return {}, ""
    why = f"haproxy takes {CONNECTIONS} connections, since limits cannot be raised"
    return {"haproxy_max_connections": CONNECTIONS}, why


def _workers(situation: Situation) -> tuple[Values, str]:
    least = min((node.cpus for node in situation.nodes.values()), default=1)
    if least > SMALL:
        return {}, ""
    values: Values = {
        "openstack_service_workers": "1",
        # Each check of RabbitMQ starts an Erlang machine; on a busy host they pile up.
        "default_container_healthcheck_interval": str(RARELY),
        "default_container_healthcheck_timeout": str(RARELY),
    }
    why = f"{least} processors: one worker each, health checks every {RARELY} s"
    return values, why


def _limits(situation: Situation) -> tuple[Values, str]:
    lacking = _lacking(situation, lambda node: node.limits)
    if not lacking:
        return {}, ""
    values: Values = {"default_container_dimensions": {}, "nova_libvirt_dimensions": {}}
    return values, f"no CAP_SYS_RESOURCE on {lacking}: containers keep their limits"


def _sysctl(situation: Situation) -> tuple[Values, str]:
    lacking = _lacking(situation, lambda node: node.sysctl)
    if not lacking:
        return {}, ""
    return {"set_sysctl": "no"}, f"kernel settings are not {lacking}'s own: left alone"


def _datapath(situation: Situation) -> tuple[Values, str]:
    lacking = _lacking(situation, lambda node: node.openvswitch)
    if not lacking:
        return {}, ""
    return {"ovs_datapath": "netdev"}, (
        f"no openvswitch module on {lacking}: packets are switched in user space"
    )


def _clock(situation: Situation) -> tuple[Values, str]:
    inside = _lacking(situation, lambda node: not node.container)
    if not inside:
        return {}, ""
    return {"prechecks_enable_host_ntp_checks": "no"}, (
        f"{inside} share the clock of the machine they are containers of"
    )


def _wrappers(situation: Situation) -> tuple[Values, str]:
    inside = _lacking(situation, lambda node: not node.container)
    if not inside:
        return {}, ""
    return {"neutron_agents_wrappers": "no"}, (
        "dnsmasq and haproxy of Neutron run inside its agents' containers"
    )


def _migration(situation: Situation) -> tuple[Values, str]:
    inside = _lacking(situation, lambda node: not node.container)
    if not inside or situation.virt == "fake":
        return {}, ""
    return {"libvirt_enable_sasl": "no"}, (
        "libvirt asks no password of its peers: their network is this machine's own"
    )


def _profiler(situation: Situation) -> tuple[Values, str]:
    on = situation.profiled or is_on(situation.user.get("enable_osprofiler", "no"))
    if not on or "osprofiler_backend" in situation.user:
        return {}, ""
    store = situation.store
    values: Values = {
        "enable_osprofiler": "yes",
        "osprofiler_backend": store,
        # kolla's own leads to the sentinel, which OSProfiler's driver cannot speak to.
        "osprofiler_backend_connection_string": POINTS[store],
        f"enable_{store}": "yes",
        "enable_opensearch": "no",
    }
    return values, f"OSProfiler: services send their trace points to {store}"


def _virtualisation(situation: Situation) -> tuple[Values, str]:
    if situation.virt == "kvm":
        return {"nova_compute_virt_type": "kvm"}, "guests run on KVM"
    if situation.virt == "qemu":
        return {"nova_compute_virt_type": "qemu"}, "guests run in emulation"
    values: Values = {
        "nova_compute_virt_type": "qemu",
        "enable_nova_libvirt_container": "no",
    }
    return values, "guests are pretended by Nova's fake driver"


def _lacking(situation: Situation, able: Callable[[Node], bool]) -> str:
    names = [name for name, node in situation.nodes.items() if not able(node)]
    return ", ".join(names)
