"""`enos up`: images for the machines where the provider takes them, then machines."""

from pathlib import Path

from enos.errors import CapabilityError
from enos.phases import images, install, machines
from enos.phases.session import Session, phase
from enos.provider import KVM
from enos.state import directory as directories


def plan(session: Session) -> tuple[str, ...]:
    """Return what would be acquired, a line each."""
    return session.provider.plan(session.experiment.demand)


def run(session: Session) -> None:
    """Acquire the testbed; what is there already is kept."""
    with phase(session, "up") as running:
        inner, experiment = running.session, session.experiment
        # First: what has machines, if only some, is no experiment that gave them back.
        state = session.directory.load()
        session.directory.save(state.without_phases("destroy"))
        _require_kvm(session)
        images.share(inner)
        testbed = inner.provider.acquire(experiment.demand)
        inner.save(testbed=testbed)
        if experiment.registry.type == "internal":
            # What cannot be deployed is refused before its images take an hour.
            install.planned(inner)
        images.provide(inner)
        machines.record(inner, testbed)
        for name, value in testbed.facts.items():
            session.directory.journal.append("fact", f"{name}: {value}", phase="up")


def _require_kvm(session: Session) -> None:
    """Refuse guests on KVM before images are built, where the provider knows."""
    if session.experiment.virt != "kvm":
        return
    for check in session.provider.checks():
        if check.name == KVM and not check.ok:
            raise CapabilityError(
                f"`virt: kvm` cannot be had here: {check.found}",
                hint=f"set `virt: qemu`, or: {check.fix}",
            )


def make_current(session: Session, where: Path) -> None:
    """Point the link `current` at the experiment, now that it has machines."""
    directories.make_current(session.directory, where)
