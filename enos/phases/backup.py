"""`enos backup`: one archive of everything, checked as soon as it is written."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from enos import archive
from enos.errors import EnosError
from enos.metrics.gaps import Coverage
from enos.phases import machines, metrics, report
from enos.phases.session import Session, phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """An archive that was written and verified.

    Attributes:
        measured: whether the machines were, all along; None without monitoring.

    """

    archive: Path
    measured: Coverage | None = None


def planned(session: Session) -> archive.BackupPlan:
    """Return what would be archived."""
    directory, resolved = session.directory, asdict(session.experiment)
    return archive.plan_backup(
        directory.load().testbed,
        directory.path,
        secrets=metrics.passwords(session),
        generated={"resolved.json": json.dumps(resolved, indent=2, default=str) + "\n"},
        versions=machines.versions(session),
    )


def run(session: Session, folder: Path | None = None) -> Backup:
    """Write the archive into a folder (the experiment's own), and verify it."""
    directory = session.directory
    with phase(session, "backup") as running:
        inner = running.session
        measured = metrics.keep(inner)
        _keep_report(inner)  # first, so that the archive holds it
        plan = planned(session)
        name = archive.archive_name(directory.path.resolve().name, datetime.now(UTC))
        destination = (folder or directory.path) / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        archive.write(
            plan,
            destination,
            shell=inner.shell,
            progress=inner.progress,
            sockets=directory.sockets,
        )
        running.facts["archive"] = str(destination)
        with inner.progress.step("verifying the archive"):
            archive.verify(destination).require()
    return Backup(archive=destination, measured=measured)


def _keep_report(session: Session) -> None:
    """Have the report among what is archived; one that cannot be made is told of."""
    try:
        with session.progress.step("the report"):
            report.keep(session)
    except EnosError as error:
        session.progress.warn(f"the archive has no new report: {error.message}")


def verified(path: Path) -> dict[str, Any]:
    """Return what a good archive holds; raises ArchiveError for a bad one."""
    found = archive.verify(path)
    found.require()
    manifest = found.manifest
    return {
        "archive": str(path),
        "members": len(manifest.members),
        "bytes": sum(member.size for member in manifest.members),
        "complete": manifest.complete,
        "sealed": manifest.sealed,
        "hosts": {host.name: host.status for host in manifest.hosts},
    }
