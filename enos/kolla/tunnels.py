"""Tunnels between nodes whose Open vSwitch runs in user space. Pure.

That datapath routes VXLAN itself: the tunnels' address must be on one of its bridges.
And it takes packets from the interface before iptables sees them, so that those of
tunnels would meet no queue that delays them. Where bridged packets meet iptables, a
bridge of the kernel, the wire, is put between the interface and the switch's bridge.

See https://docs.kernel.org/networking/bridge.html#netfilter.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from enos.ansible import inventory as ini
from enos.errors import CapabilityError
from enos.kolla.nodes import Node
from enos.testbed import Host, Testbed

TUNNEL_BRIDGE = "br-phy"
WIRED = "br-wired"
"""Name of that bridge behind a wire: `enos.netem` knows it as `PASSED`."""

WIRE = "enos-wire"


def plan_tunnels(
    testbed: Testbed, nodes: Mapping[str, Node], user: Mapping[str, Any]
) -> tuple[dict[str, dict[str, str]], tuple[str, ...]]:
    """Return each host's variables for tunnels in user space, and what to tell.

    They are empty where the kernel switches packets, or the user's `kolla:` map says
    so. Raises CapabilityError where tunnels would be needed but have no interface.
    """
    none: dict[str, dict[str, str]] = {host.name: {} for host in testbed.hosts}
    lacking = [name for name, node in nodes.items() if not node.openvswitch]
    if user.get("ovs_datapath", "netdev" if lacking else "system") != "netdev":
        return none, ()
    found = {
        host.name: _tunnel(testbed, host, wired=nodes[host.name].bridged)
        for host in testbed.hosts
    }
    without = [name for name, values in found.items() if not values]
    if not without:
        return found, tuple(_told(found))
    if len(testbed.hosts) == 1:
        return none, ()
    message = (
        f"tenant networks cannot span the nodes: {', '.join(without)} has no"
        " interface on a network for tunnels, which Open vSwitch in user space needs"
    )
    hint = "add a network with the role `tunnel`, or load the openvswitch module"
    raise CapabilityError(message, hint=hint)


def _told(found: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for bridge in dict.fromkeys(one["tunnel_interface"] for one in found.values()):
        through = f", behind the bridge {WIRE} of the kernel" if bridge == WIRED else ""
        yield f"tunnels leave through {bridge}, a bridge in user space{through}"


def _tunnel(testbed: Testbed, host: Host, *, wired: bool) -> dict[str, str]:
    device = ini.device_on(testbed, host, "tunnel")
    nic = next((nic for nic in host.nics if nic.device == device), None)
    if nic is None or not nic.addresses:
        return {}
    if device == ini.device_on(testbed, host, "api"):
        return {}
    return {
        "tunnel_interface": WIRED if wired else TUNNEL_BRIDGE,
        "enos_tunnel_device": device,
        "enos_tunnel_address": nic.addresses[0],
        **({"enos_tunnel_wire": WIRE} if wired else {}),
    }
