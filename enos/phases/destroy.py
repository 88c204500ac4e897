"""`enos destroy`: OpenStack away, or with `--hard` the machines given back."""

from enos.bench import rally
from enos.kolla import deployment as kolla
from enos.kolla import stopping
from enos.phases import bench, install, metrics, tc
from enos.phases.session import Session, phase
from enos.remote import close_connections

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
    """Give the machines back; needs nothing but the state, harmless when repeated."""
    if session.provider.keeps:
        _clean(session)
    with phase(session, "destroy") as running:
        inner = running.session
        close_connections(inner.shell, inner.directory.sockets)
        with inner.progress.step("giving the machines back"):
            inner.provider.release()
        install.forget(session)
        gone = ("up", "tc", metrics.PHASE, *OPENSTACK)
        state = inner.directory.load().without_phases(*gone)
        inner.directory.save(state)
        inner.save(testbed=None)


def _clean(session: Session) -> None:
    """Leave machines that outlive the experiment without what enos put there."""
    state = session.directory.load()
    if state.testbed is None:
        return
    if "tc" in state.phases:
        tc.reset(session)
    if "bench" in state.phases:
        rally.remove_from(bench.bench_of(session))
    if "os" in state.phases:
        openstack(session)
    if metrics.PHASE in state.phases:
        metrics.remove(session)
