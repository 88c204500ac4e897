"""`enos destroy`: OpenStack away, or with `--hard` the machines given back."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from enos.bench.environment import PLACE
from enos.errors import EnosError, ProcessError, ProviderError
from enos.kolla import deployment as kolla
from enos.kolla import preparation, stopping
from enos.phases import install, metrics, since, tc
from enos.phases.session import Session, phase
from enos.remote import close_connections, on_each, run_on
from enos.state.record import State
from enos.testbed import Host, Testbed

PATIENCE = 30.0
"""Seconds a machine has to answer before it counts as dead."""


def plan(session: Session, *, hard: bool) -> tuple[str, ...]:
    """Return what would be removed, a line each."""
    state = session.directory.load()
    hosts = state.testbed.hosts if state.testbed else ()
    if not hard:
        return tuple(f"remove OpenStack from {host.name}" for host in hosts)
    names = ", ".join(host.name for host in hosts) or "whatever was begun"
    kept = session.provider.keeps and hosts
    cleaned = [f"remove {what} from {names}" for what, _ in _parts(state)]
    back = f"give back to `{state.provider}`: {names} (session {state.session})"
    return (*(cleaned if kept else ()), back)


def openstack(session: Session) -> None:
    """Remove OpenStack from the machines: containers, volumes, configuration.

    Raises:
        ProviderError: some machines do not answer; the others are clean.

    """
    session.require("up")
    with phase(session, "destroy") as running:
        inner = running.session
        there = answering(inner)
        dead = tuple(h.name for h in inner.testbed.hosts if h not in there.hosts)
        if there.hosts:
            _remove_openstack(inner, there, dead)
        if dead:
            names = ", ".join(dead)
            raise ProviderError(
                f"OpenStack is left on {names}: no answer",
                hint="`enos status` asks the machines; `enos destroy` goes on",
            )
    state = session.directory.load()
    session.directory.save(state.without_phases("destroy", *install.OPENSTACK))


def _remove_openstack(session: Session, there: Testbed, dead: Sequence[str]) -> None:
    shell, progress = session.shell, session.progress
    wanted = install.planned(session, action="destroy", absent=dead)
    install.forget(session)
    engine, sockets = wanted.shadow.engine, session.directory.sockets
    stopping.stop(there, engine, shell, progress, sockets)
    only = tuple(host.name for host in there.hosts) if dead else ()
    kolla.destroy(wanted, shell=shell, progress=progress, only=only)
    install.unwire(session, wanted, there)


def answering(session: Session) -> Testbed:
    """Return the testbed with the machines alone that answer."""
    sockets, testbed = session.directory.sockets, session.testbed

    def answers(host: Host) -> bool:
        try:
            run_on(session.shell, host, ("true",), timeout=PATIENCE, sockets=sockets)
        except ProcessError:
            return False
        return True

    alive = on_each(testbed.hosts, answers)
    return replace(testbed, hosts=tuple(h for h in testbed.hosts if alive[h.name]))


def release(session: Session) -> None:
    """Give the machines back; needs nothing but the state, harmless when repeated.

    Machines that outlive the experiment are cleaned before. What cannot be removed,
    since a machine is dead, does not keep the others.

    Raises:
        ProviderError: the machines were given back, but not clean.

    """
    failures = _clean(session) if session.provider.keeps else ()
    with phase(session, "destroy") as running:
        inner = running.session
        close_connections(inner.shell, inner.directory.sockets)
        with inner.progress.step("giving the machines back"):
            inner.provider.release()
        install.forget(session)
        since.forget(inner.directory)
        gone = ("up", "tc", metrics.PHASE, *install.OPENSTACK)
        state = inner.directory.load().without_phases(*gone)
        inner.directory.save(state)
        inner.save(testbed=None)
    if failures:
        raise ProviderError(
            "the machines were given back, but something of enos is left on them",
            hint="remove what is named above by hand, on the machines that live",
            details="\n".join(failures),
        )


def _clean(session: Session) -> tuple[str, ...]:
    """Remove what enos put on machines that outlive it; return what could not be."""
    state = session.directory.load()
    if state.testbed is None:
        return ()
    failures = []
    for what, remove in _parts(state):
        try:
            remove(session)
        except EnosError as failed:
            failures.append(f"{what}: {failed.message}")
            session.progress.warn(f"{what} is not removed: {failed.message}")
    return tuple(failures)


def _parts(state: State) -> tuple[tuple[str, Callable[[Session], None]], ...]:
    """Return what enos put on the machines, and what removes it, in order."""
    parts = (
        ("the network emulation", "tc" in state.phases, tc.reset),
        ("OpenStack", "os" in state.phases, openstack),
        ("the monitoring", metrics.PHASE in state.phases, metrics.remove),
        ("names and registries in their files", True, _restore_files),
        # Benchmarks are forgotten with the OpenStack they were run on.
        ("what benchmarks used", True, _remove_programs),
    )
    return tuple((what, remove) for what, there, remove in parts if there)


def _restore_files(session: Session) -> None:
    preparation.undo(
        session.testbed, session.shell, session.progress, session.directory.sockets
    )


def _remove_programs(session: Session) -> None:
    """Remove Rally and Shaker's agents; after the monitoring, which lives below."""
    command, sockets = ("rm", "-rf", str(PLACE)), session.directory.sockets
    on_each(
        session.testbed.hosts,
        lambda host: run_on(session.shell, host, command, sockets=sockets),
    )
