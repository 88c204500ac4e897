"""Which services agents are to ask on each machine, since OpenStack was deployed."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from enos.state.directory import Directory, read_kept, write_atomically

FILE = Path("metrics") / "services.json"


def remember(directory: Directory, told: Mapping[str, Sequence[str]]) -> None:
    """Keep host → names of services, in place of what was kept before."""
    names = {host: sorted(services) for host, services in told.items()}
    write_atomically(directory.path / FILE, json.dumps(names, indent=2) + "\n")


def read(directory: Directory) -> Mapping[str, Sequence[str]]:
    """Return host → names of services; empty before OpenStack is deployed."""
    return read_kept(directory.path / FILE)


def forget(directory: Directory) -> None:
    """Begin anew: nothing is measured; harmless when repeated."""
    (directory.path / FILE).unlink(missing_ok=True)
