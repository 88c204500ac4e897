"""Whether kolla-ansible's prechecks need to be run, and remembering that they passed.

They are run once for an inventory, its variables and what the machines can do. Where
machines are made anew for each experiment, all from one recipe, that they passed is
remembered across experiments: a quarter of a minute of each deployment.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

from enos.ansible import inventory as ini
from enos.kolla import globals as variables
from enos.kolla.nodes import Node
from enos.kolla.passwords import write_secret
from enos.kolla.plan import Deployment
from enos.kolla.site import CHECKS


def passed(deployment: Deployment, remembered: Path | None) -> str:
    """Return where the prechecks passed for the same: ``here``, ``before`` or nowhere.

    Args:
        deployment: what is to be checked.
        remembered: folder in the cache, None when machines differ each time.

    """
    mark, seal = deployment.place.root / CHECKS, _seal(deployment)
    if mark.exists() and mark.read_text(encoding="utf-8") == seal:
        return "here"
    if remembered and (remembered / seal).exists():
        return "before"
    return ""


def remember(deployment: Deployment, remembered: Path | None) -> None:
    """Write down that the prechecks passed."""
    seal = _seal(deployment)
    write_secret(deployment.place.root / CHECKS, seal)
    if remembered:
        remembered.mkdir(parents=True, exist_ok=True)
        (remembered / seal).touch()


def _seal(deployment: Deployment) -> str:
    # The folder of the experiment, where its SSH key is, makes no difference.
    inventory = ini.render(deployment.inventory)
    folder = str(deployment.place.root.parent.resolve())
    parts = (
        deployment.release.kolla_ansible,
        inventory.replace(folder, ""),
        variables.render(deployment.variables),
        *(f"{name}: {_lasting(n)}" for name, n in sorted(deployment.nodes.items())),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _lasting(node: Node) -> Node:
    """Return a machine without what a deployment itself makes of it.

    What follows from `bridged` is in the inventory.
    """
    return replace(node, docker=False, named=False, bridged=False)
