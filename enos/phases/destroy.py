"""`enos destroy`: OpenStack away, or with `--hard` the machines given back."""

from enos.bench.environment import PLACE
from enos.errors import EnosError, ProviderError
from enos.kolla import deployment as kolla
from enos.kolla import stopping
from enos.phases import install, metrics, since, tc
from enos.phases.session import Session, phase
from enos.remote import close_connections, on_each, run_on

OPENSTACK = ("os", "init", "bench")


def plan(session: Session, *, hard: bool) -> tuple[str, ...]:
    """Return what would be removed, a line each."""
    state = session.directory.load()
    hosts = state.testbed.hosts if state.testbed else ()
    if hard:
        names = ", ".join(host.name for host in hosts) or "whatever was begun"
        return (f"give back to `{state.provider}`: {names} (session {state.session})",)
    return tuple(f"remove OpenStack from {host.name}" for host in hosts)


def openstack(session: Session) -> None:
    """Remove OpenStack from the machines: containers, volumes, configuration."""
    session.require("up")
    with phase(session, "destroy") as running:
        inner = running.session
        wanted = install.planned(inner)
        install.forget(session)
        stopping.stop(
            inner.testbed,
            wanted.shadow.engine,
            inner.shell,
            inner.progress,
            inner.directory.sockets,
        )
        kolla.destroy(wanted, shell=inner.shell, progress=inner.progress)
    state = session.directory.load()
    session.directory.save(state.without_phases("destroy", *OPENSTACK))


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
        gone = ("up", "tc", metrics.PHASE, *OPENSTACK)
        state = inner.directory.load().without_phases(*gone)
        inner.directory.save(state)
        inner.save(testbed=None)
    if failures:
        raise ProviderError(
            "the machines were given back, but something of enos is left on them",
            hint="what it is stands below; remove it by hand on those that live",
            details="\n".join(failures),
        )


def _clean(session: Session) -> tuple[str, ...]:
    """Remove what enos put on machines that outlive it; return what could not be."""
    state = session.directory.load()
    if state.testbed is None:
        return ()
    parts = (
        ("the network emulation", "tc" in state.phases, tc.reset),
        ("OpenStack", "os" in state.phases, openstack),
        ("the monitoring", metrics.PHASE in state.phases, metrics.remove),
        # Benchmarks are forgotten with the OpenStack they were run on.
        ("what benchmarks used", True, _remove_programs),
    )
    failures = []
    for what, there, remove in parts:
        if not there:
            continue
        try:
            remove(session)
        except EnosError as failed:
            failures.append(f"{what}: {failed.message}")
            session.progress.warn(f"{what} is not removed: {failed.message}")
    return tuple(failures)


def _remove_programs(session: Session) -> None:
    """Remove Rally and Shaker's agents; after the monitoring, which lives below."""
    command, sockets = ("rm", "-rf", str(PLACE)), session.directory.sockets
    on_each(
        session.testbed.hosts,
        lambda host: run_on(session.shell, host, command, sockets=sockets),
    )
