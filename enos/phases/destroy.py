"""`enos destroy`: OpenStack away, or with `--hard` the machines given back."""

from enos.phases.session import Session, phase
from enos.remote import close_connections

OPENSTACK = ("os", "init", "tc", "bench")


def release(session: Session) -> None:
    """Give the machines back; needs nothing but the state, harmless when repeated."""
    with phase(session, "destroy") as running:
        inner = running.session
        close_connections(inner.shell, inner.directory.sockets)
        with inner.progress.step("giving the machines back"):
            inner.provider.release()
        state = inner.directory.load().without_phases("up", *OPENSTACK)
        inner.directory.save(state)
        inner.save(testbed=None)
