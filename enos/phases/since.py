"""Since when each machine is measured, whatever was started again in between."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

from enos.metrics.plan import MonitoringPlan
from enos.state.directory import Directory, read_kept, write_atomically

FILE = Path("metrics") / "since.json"


def remember(directory: Directory, plan: MonitoringPlan) -> None:
    """Keep the moment for machines that are new; all are, in another database.

    So they are with another interval: what was sampled every ten seconds has a gap
    after each sample for who expects one a second.
    """
    kept = read_kept(directory.path / FILE)
    way = {"url": plan.url, "interval": plan.interval}
    same = all(kept.get(key) == value for key, value in way.items())
    known, now = kept["hosts"] if same else {}, time.time()
    hosts = {one.host.name: known.get(one.host.name, now) for one in plan.hosts}
    text = json.dumps({**way, "hosts": hosts}, indent=2) + "\n"
    write_atomically(directory.path / FILE, text)


def read(directory: Directory) -> Mapping[str, float]:
    """Return host → seconds since the epoch; empty when none was remembered."""
    hosts: Mapping[str, float] = read_kept(directory.path / FILE).get("hosts", {})
    return hosts


def forget(directory: Directory) -> None:
    """Begin anew: the measures are removed; harmless when repeated."""
    (directory.path / FILE).unlink(missing_ok=True)
