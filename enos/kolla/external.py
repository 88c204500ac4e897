"""The interface that Neutron takes over on each machine: named, never guessed.

kolla-ansible's own default is `eth1`. On a machine nobody said anything of, that may be
the interface its owner works over.
"""

from collections.abc import Mapping
from typing import Any

from enos.ansible.inventory import Inventory
from enos.errors import ConfigError
from enos.kolla.switches import switch

EXTERNAL = "neutron_external_interface"


def require_external(
    inventory: Inventory, chosen: Mapping[str, Any], defaults: Mapping[str, Any]
) -> None:
    """Raise ConfigError unless each machine's external interface is known and free.

    Args:
        inventory: with the interfaces that are known by host.
        chosen: what `globals.yml` will say, which wins over the inventory.
        defaults: kolla-ansible's own variables.

    """
    known = {**defaults, **chosen}
    if switch("enable_neutron", known) is False:
        return
    hosts = dict.fromkeys(inventory.members("network"))
    if switch("computes_need_external_bridge", known):
        hosts |= dict.fromkeys(inventory.members("compute"))
    of = {name: {**inventory.hosts[name], **chosen} for name in hosts}
    unnamed = [name for name in hosts if not of[name].get(EXTERNAL)]
    if unnamed:
        raise ConfigError(
            f"which interface Neutron may take over is not known of {_all(unnamed)}",
            hint="give a network the role `external`, or name the interface of each:"
            " `extra: {neutron_external_interface: eth1}`; it loses its addresses",
        )
    shared = [
        name
        for name, values in of.items()
        if values.get("network_interface") in str(values[EXTERNAL]).split(",")
    ]
    if shared:
        raise ConfigError(
            f"Neutron would take over the interface SSH uses of {_all(shared)}",
            hint="give the network with the role `external` an interface of its own",
        )


def _all(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
