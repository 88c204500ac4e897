"""Services that clients reach by `kolla_internal_vip_address`. Pure.

Where all of them run on one host, its address serves for all. As soon as one is
elsewhere, or on several hosts, a load balancer must stand at that address. The table
follows the services with `haproxy:` in kolla-ansible 2025.1 to 2026.1
(`roles/*/defaults/main.yml`), without those whose clients are told every host by
itself: RabbitMQ, memcached, etcd.
"""

from collections.abc import Callable, Mapping

from enos.ansible.inventory import Inventory

Setting = Callable[[str], str | None]
"""Value of a kolla variable as a lower-case word; None when only Ansible knows."""

ON = frozenset({"true", "yes", "on", "1", "y", "t"})

FRONTED: Mapping[str, str] = {
    "keystone": "enable_keystone",
    "glance-api": "enable_glance",
    "placement-api": "enable_placement",
    "nova-api": "enable_nova",
    "nova-metadata": "enable_nova",
    "neutron-server": "enable_neutron",
    "mariadb": "enable_mariadb",
    "nova-novncproxy": "nova_console=novnc",
    "nova-spicehtml5proxy": "nova_console=spice",
    "nova-serialproxy": "enable_nova_serialconsole_proxy",
    "aodh-api": "enable_aodh",
    "barbican-api": "enable_barbican",
    "blazar-api": "enable_blazar",
    "cinder-api": "enable_cinder",
    "cloudkitty-api": "enable_cloudkitty",
    "cyborg-api": "enable_cyborg",
    "designate-api": "enable_designate",
    "gnocchi-api": "enable_gnocchi",
    "grafana": "enable_grafana",
    "heat-api": "enable_heat",
    "heat-api-cfn": "enable_heat",
    "horizon": "enable_horizon",
    "ironic-api": "enable_ironic",
    "ironic-inspector": "enable_ironic_inspector",
    "magnum-api": "enable_magnum",
    "manila-api": "enable_manila",
    "masakari-api": "enable_masakari",
    "mistral-api": "enable_mistral",
    "octavia-api": "enable_octavia",
    "opensearch": "enable_opensearch",
    "opensearch-dashboards": "enable_opensearch_dashboards",
    "prometheus": "enable_prometheus",
    "skyline-apiserver": "enable_skyline",
    "skyline-console": "enable_skyline",
    "tacker-server": "enable_tacker",
    "trove-api": "enable_trove",
    "venus-api": "enable_venus",
    "watcher-api": "enable_watcher",
    "zun-api": "enable_zun",
    "zun-wsproxy": "enable_zun",
}
"""Group of the inventory → variable, or ``variable=value``, that turns it on."""


def spread(inventory: Inventory, setting: Setting) -> str:
    """Return which service is not on the first control node alone, empty for none.

    Services that are off do not count; one of which only Ansible knows does.
    """
    control = inventory.members("control")
    for group, switch in FRONTED.items():
        hosts = inventory.members(group)
        if hosts and hosts != control[:1] and _is_on(setting, switch):
            return f"`{group}` is on {', '.join(hosts)}"
    return ""


def _is_on(setting: Setting, switch: str) -> bool:
    name, pair, wanted = switch.partition("=")
    value = setting(name)
    if value is None:
        return True
    return value == wanted if pair else value in ON
