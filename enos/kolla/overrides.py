"""Service configuration that kolla-ansible merges over its templates. Pure.

Paths are those of `node_custom_config`
(https://docs.openstack.org/kolla-ansible/latest/admin/advanced-configuration.html).
"""

from collections.abc import Mapping
from typing import Any

from enos.ansible.inventory import Inventory
from enos.kolla.globals import is_on
from enos.kolla.nodes import Node

QEMU_CONF = """\
stdio_handler = "logd"
user = "nova"
group = "nova"
"""
"""kolla's `qemu.conf` without `max_files` and `max_processes`: libvirt refuses to
start a guest when it may not raise its limits."""

FAKE_COMPUTE = """\
[DEFAULT]
compute_driver = fake.FakeDriverWithoutFakeNodes
"""
"""The one of Nova's fake drivers that keeps its identity when it is restarted."""


GALERA = """\
[mysqld]
max_connect_errors = 4294967295
"""
"""haproxy asks a database by connecting to it and leaving, every two seconds; after a
hundred of those in a row MariaDB would let nobody in from there."""


def plan_overrides(
    *,
    virt: str,
    nodes: Mapping[str, Node],
    inventory: Inventory,
    chosen: Mapping[str, Any],
) -> dict[str, str]:
    """Return path → text of the files enos puts into `node_custom_config`.

    `chosen` is what `globals.yml` will say. A file of the user's replaces the one of
    the same path, so that what must not get lost is said host by host.
    """
    files: dict[str, str] = {}
    if is_on(chosen.get("enable_external_mariadb_load_balancer")):
        databases = inventory.members("mariadb")
        files |= {f"mariadb/{name}/galera.cnf": GALERA for name in databases}
    if any(not node.limits for node in nodes.values()):
        files["nova/qemu.conf.j2"] = QEMU_CONF
    if virt == "fake":
        files["nova/nova-compute.conf"] = FAKE_COMPUTE
    return files
