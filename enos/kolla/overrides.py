"""Service configuration that kolla-ansible merges over its templates. Pure.

Paths are those of `node_custom_config`
(https://docs.openstack.org/kolla-ansible/latest/admin/advanced-configuration.html).
"""

from collections.abc import Mapping

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


def plan_overrides(*, virt: str, nodes: Mapping[str, Node]) -> dict[str, str]:
    """Return path → text of the files enos puts into `node_custom_config`."""
    files = {}
    if any(not node.limits for node in nodes.values()):
        files["nova/qemu.conf.j2"] = QEMU_CONF
    if virt == "fake":
        files["nova/nova-compute.conf"] = FAKE_COMPUTE
    return files
