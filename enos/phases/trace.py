"""Traces of requests: what a bench run needs for them, and what it leaves behind."""

from typing import Any

import yaml

from enos.bench.tracing import Profiler
from enos.bench.workload import Workload
from enos.errors import CapabilityError, ConfigError
from enos.kolla.globals import is_on
from enos.phases.session import Session
from enos.testbed import Host, Testbed

STORES = ("valkey", "redis")
PORT = 6379


def profiler(session: Session, workload: Workload) -> Profiler | None:
    """Return what tracing the workload takes, None when it asks for no traces.

    Raises ConfigError when it does and the services are not set up for it, and
    CapabilityError when they send their points to a store enos does not read.
    """
    asked = tuple(run.name for run in workload.runs if run.traced)
    if not asked:
        return None
    variables = _read(session, "globals.yml")
    if not is_on(variables.get("enable_osprofiler", "no")):
        name = "experiment.yml"
        hint = f"write `osprofiler: true` into `{name}`, then `enos os --reconfigure`"
        raise ConfigError(
            f"the workload asks for traces ({_named(asked)}), but the services of this"
            " OpenStack record none",
            hint=hint,
        )
    store = str(variables.get("osprofiler_backend", ""))
    if store not in STORES:
        raise CapabilityError(
            f"trace points go to `{store}`, from where enos does not fetch them",
            hint="remove `osprofiler_backend` from `kolla:`, then"
            " `enos os --reconfigure`",
        )
    passwords = _read(session, "passwords.yml")
    place = address(session.testbed, store)
    secret = passwords[f"{store}_master_password"]
    return Profiler(
        key=str(passwords["osprofiler_secret"]),
        store=f"redis://default:{secret}@{place}:{PORT}/0",
    )


def address(testbed: Testbed, store: str) -> str:
    """Return where the store listens: kolla puts it on `control`, or on its own role.

    With several, the first is the one that is written to.
    """
    hosts = testbed.with_role(store) or testbed.with_role("control")
    return _on_api(testbed, hosts[0])


def _on_api(testbed: Testbed, host: Host) -> str:
    network = testbed.network("api")
    nic = host.nic_on(network.name) if network else None
    return nic.addresses[0].partition("/")[0] if nic and nic.addresses else host.address


def _named(names: tuple[str, ...]) -> str:
    first = f"`{names[0]}`"
    return first if len(names) == 1 else f"{first} and {len(names) - 1} more"


def _read(session: Session, name: str) -> dict[str, Any]:
    path = session.directory.kolla / name
    if not path.exists():
        return {}
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
