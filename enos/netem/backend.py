"""Which back end the hosts can run: probed on each, chosen for all, recorded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from enos.errors import CapabilityError
from enos.netem.commands import Backend, host_script
from enos.process import Shell
from enos.progress import Progress
from enos.remote import on_each, run_on
from enos.testbed import Host, Testbed

NEEDS = {
    Backend.NETEM: ("tc", "htb", "netem"),
    Backend.USER_SPACE: ("tc", "htb", "ipset", "nfqueue", "queues", "python3"),
}
PACKAGES = "install iproute2, iptables, ipset and python3 on the hosts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The back end for all hosts, and why.

    Attributes:
        capabilities: host name -> what was found there (`netem`, `nfqueue`, …).

    """

    backend: Backend
    why: str
    capabilities: Mapping[str, tuple[str, ...]]


def probe_backend(
    testbed: Testbed,
    shell: Shell,
    progress: Progress,
    *,
    wanted: Backend | None = None,
    sockets: Path | None = None,
) -> Choice:
    """Ask every host what it can do and return the choice, recorded as a decision.

    Raises CapabilityError when a host can do neither, or not the one wanted.
    """

    def ask(host: Host) -> tuple[str, ...]:
        script = host_script("probe")
        done = run_on(shell, host, ("sh", "-s"), stdin=script, sockets=sockets)
        return tuple(done.stdout.split())

    with progress.step("What the hosts' kernels can emulate"):
        choice = choose(on_each(testbed.hosts, ask), wanted=wanted)
    progress.decision(f"network emulation by {choice.backend}: {choice.why}")
    return choice


def choose(
    capabilities: Mapping[str, tuple[str, ...]], *, wanted: Backend | None = None
) -> Choice:
    """Return the back end that all hosts can run, netem before user space.

    Raises CapabilityError when there is none.
    """
    missing = {
        backend: {
            host: absent
            for host, found in capabilities.items()
            if (absent := [need for need in needs if need not in found])
        }
        for backend, needs in NEEDS.items()
    }
    for backend in (wanted,) if wanted else tuple(NEEDS):
        if not missing[backend]:
            lacking = missing[Backend.NETEM]
            why = "every host has sch_netem"
            if backend is Backend.USER_SPACE:
                why = f"no sch_netem on {', '.join(lacking)}" if lacking else "as asked"
            return Choice(backend=backend, why=why, capabilities=capabilities)
    last = wanted or Backend.USER_SPACE
    details = [f"{h}: no {', '.join(absent)}" for h, absent in missing[last].items()]
    raise CapabilityError(
        f"network emulation by {last} is not possible on {', '.join(missing[last])}",
        hint=PACKAGES,
        details="\n".join(details),
    )
