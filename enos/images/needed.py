"""Services that are switched on → names of the images their containers run.

The table follows the service lists in the role defaults of kolla-ansible 2025.1 to
2026.1 (`roles/*/defaults/main.yml`: `enabled:` and `image:`). Switches are asked by
their kolla names; one that cannot be worked out counts as on, since an image too many
costs seconds and one too few the deployment.
"""

from collections.abc import Callable
from dataclasses import dataclass

Setting = Callable[[str], str | None]
"""Value of a kolla variable as a lower-case word (``true``, ``openvswitch``); None when
only Ansible could tell."""

ON = frozenset({"true", "yes", "on", "1", "y", "t"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Images that are needed when all conditions hold.

    Attributes:
        images: names without registry, namespace and tag.
        when: variables that must be on, or ``name=value`` pairs that must match.
        unless: variables or pairs of which none may hold.
        told: the service is not in every release; it counts as on only when a
            variable says so.

    """

    images: tuple[str, ...]
    when: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    told: bool = False


TABLE: tuple[Row, ...] = (
    Row(images=("kolla-toolbox", "cron")),
    Row(images=("fluentd",), when=("enable_fluentd",)),
    Row(images=("haproxy",), when=("enable_haproxy",)),
    Row(images=("keepalived",), when=("enable_keepalived",)),
    Row(images=("proxysql",), when=("enable_proxysql",)),
    Row(images=("mariadb-server",), when=("enable_mariadb",)),
    Row(images=("memcached",), when=("enable_memcached",)),
    Row(images=("rabbitmq",), when=("enable_rabbitmq",)),
    Row(images=("valkey-server", "valkey-sentinel"), when=("enable_valkey",)),
    Row(images=("redis", "redis-sentinel"), when=("enable_redis",), told=True),
    Row(
        images=("keystone", "keystone-fernet", "keystone-ssh"),
        when=("enable_keystone",),
    ),
    Row(images=("glance-api",), when=("enable_glance",)),
    Row(images=("placement-api",), when=("enable_placement",)),
    Row(
        images=("nova-api", "nova-scheduler", "nova-conductor", "nova-compute"),
        when=("enable_nova",),
    ),
    Row(
        images=("nova-libvirt",), when=("enable_nova", "enable_nova_libvirt_container")
    ),
    Row(images=("nova-ssh",), when=("enable_nova", "enable_nova_ssh")),
    Row(images=("nova-novncproxy",), when=("enable_nova", "nova_console=novnc")),
    Row(images=("nova-spicehtml5proxy",), when=("enable_nova", "nova_console=spice")),
    Row(
        images=("nova-serialproxy",),
        when=("enable_nova", "enable_nova_serialconsole_proxy"),
    ),
    Row(images=("neutron-server", "neutron-metadata-agent"), when=("enable_neutron",)),
    Row(
        images=(
            "neutron-openvswitch-agent",
            "neutron-dhcp-agent",
            "neutron-l3-agent",
        ),
        when=("enable_neutron", "neutron_plugin_agent=openvswitch"),
    ),
    Row(
        images=(
            "ovn-controller",
            "ovn-northd",
            "ovn-nb-db-server",
            "ovn-sb-db-server",
        ),
        when=("enable_neutron", "neutron_plugin_agent=ovn"),
    ),
    Row(
        images=("openvswitch-db-server", "openvswitch-vswitchd"),
        when=("enable_openvswitch",),
        unless=("enable_ovs_dpdk",),
    ),
    Row(
        images=("heat-api", "heat-api-cfn", "heat-engine"),
        when=("enable_heat",),
    ),
    Row(images=("horizon",), when=("enable_horizon",)),
    Row(
        images=("cinder-api", "cinder-scheduler", "cinder-volume", "cinder-backup"),
        when=("enable_cinder",),
    ),
    Row(
        images=("barbican-api", "barbican-keystone-listener", "barbican-worker"),
        when=("enable_barbican",),
    ),
    Row(images=("etcd",), when=("enable_etcd",)),
)


def needed(setting: Setting) -> tuple[str, ...]:
    """Return the names of the images a deployment runs, each once, in table order.

    >>> values = {"enable_memcached": "yes"}
    >>> needed(lambda name: values.get(name, "no"))
    ('kolla-toolbox', 'cron', 'memcached')
    """
    images: dict[str, None] = {}
    for row in TABLE:
        doubt = not row.told
        if all(_holds(setting, each, doubt=doubt) for each in row.when) and not any(
            _holds(setting, each, doubt=False) for each in row.unless
        ):
            images |= dict.fromkeys(row.images)
    return tuple(images)


def _holds(setting: Setting, condition: str, *, doubt: bool) -> bool:
    name, pair, wanted = condition.partition("=")
    value = setting(name)
    if value is None:
        return doubt
    return value.lower() == wanted if pair else value.lower() in ON
