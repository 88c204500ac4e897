"""Making a monitoring plan real on all machines at once, and undoing it."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath

from enos.errors import CapabilityError, MonitoringError
from enos.metrics.database import Influx, of_plan, program
from enos.metrics.hosts.install import LACKING, NEEDED
from enos.metrics.plan import AGENT, DATABASE, PLACE, File, HostPlan, MonitoringPlan
from enos.process import Completed, Shell
from enos.progress import Progress
from enos.remote import copy_to, on_each, run_on
from enos.testbed import Host, Testbed

PATIENCE = 600.0  # seconds; packages may come over a slow line
READY = 60.0
BETWEEN_LOOKS = 0.3


def converge(
    plan: MonitoringPlan,
    shell: Shell,
    progress: Progress,
    *,
    bundles: Mapping[str, Path],
    sockets: Path | None = None,
) -> None:
    """Have the database and every agent run; what is as planned is left alone.

    Args:
        plan: what every machine gets.
        shell: reaches the machines.
        progress: told of each.
        bundles: host → file with its programs; a host without one asks its own apt.
        sockets: folder of shared SSH connections, None for none.

    Raises:
        CapabilityError: a machine lacks a package, apt or systemd.
        MonitoringError: a machine refused, or the database does not come up.

    """
    several = {one.host.name: one for one in plan.hosts}

    def install(host: Host) -> Completed:
        with progress.step("monitoring", host=host.name):
            bundle = bundles.get(host.name)
            spec = _spec(several[host.name], bundle)
            done = _run(shell, host, spec, sockets)
            if done.returncode == NEEDED and bundle:
                copy_to(shell, host, bundle, _arrival(bundle), sockets=sockets)
                done = _run(shell, host, spec, sockets)
            _require({host.name: done})
            return done

    on_each((one.host for one in plan.hosts), install)
    with progress.step("database of measures", host=plan.database.name) as step:
        step.awaiting("InfluxDB")
        _ready(of_plan(plan, shell, sockets))


def put(
    told: Mapping[str, Mapping[str, File]],
    testbed: Testbed,
    shell: Shell,
    *,
    sockets: Path | None = None,
) -> None:
    """Write files the agents read as they run: host → path → file."""

    def write(host: Host) -> Completed:
        spec = {"place": str(PLACE), "packages": [], "units": []}
        files = {path: asdict(file) for path, file in told[host.name].items()}
        return _run(shell, host, {**spec, "files": files}, sockets)

    _require(on_each((h for h in testbed.hosts if h.name in told), write))


def remove(
    testbed: Testbed,
    shell: Shell,
    progress: Progress,
    *,
    sockets: Path | None = None,
) -> None:
    """Remove all of it, measures included; harmless where nothing is."""
    spec = {"place": str(PLACE), "units": [AGENT, DATABASE], "remove": True}
    with progress.step("Remove the monitoring"):
        done = on_each(testbed.hosts, lambda host: _run(shell, host, spec, sockets))
        _require(done, what="keeps its monitoring")


def _ready(database: Influx) -> None:
    deadline = time.monotonic() + READY
    while True:
        try:
            database.ensure()
        except MonitoringError:
            if time.monotonic() > deadline:
                raise
            time.sleep(BETWEEN_LOOKS)
        else:
            return


def _arrival(bundle: Path) -> PurePosixPath:
    """Return where a bundle arrives: scp(1) writes as an ordinary user."""
    return PurePosixPath("/tmp") / bundle.name  # noqa: S108 - its name holds its hash


def _told(bundle: Path) -> dict[str, str]:
    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    return {"path": str(_arrival(bundle)), "sha256": digest}


def _spec(plan: HostPlan, bundle: Path | None) -> dict[str, object]:
    return {
        "bundle": _told(bundle) if bundle else None,
        "place": str(PLACE),
        "packages": list(plan.packages),
        "files": {path: asdict(file) for path, file in plan.files.items()},
        "units": list(plan.units),
    }


def _run(
    shell: Shell, host: Host, spec: Mapping[str, object], sockets: Path | None
) -> Completed:
    return run_on(
        shell,
        host,
        ("python3", "-c", program("install")),
        stdin=json.dumps(spec),
        check=False,
        timeout=PATIENCE,
        sockets=sockets,
    )


def _require(done: Mapping[str, Completed], *, what: str = "is not monitored") -> None:
    failed = {host: one for host, one in done.items() if not one.ok}
    if not failed:
        return
    host, first = next(iter(failed.items()))
    lines = (first.stderr.strip() or first.stdout.strip()).splitlines()
    why = lines[-1] if lines else f"status {first.returncode}"
    details = "\n".join(f"{name}: {one.stderr.strip()}" for name, one in failed.items())
    if first.returncode == LACKING:
        hint = "leave `enable_monitoring` out, or use machines with Debian or Ubuntu"
        message = f"{host} cannot be monitored: {why}"
        raise CapabilityError(message, hint=hint, details=details)
    hint = "run the same command again: it goes on from there"
    raise MonitoringError(f"{host} {what}: {why}", hint=hint, details=details)
