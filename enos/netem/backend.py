"""Which back end the hosts can run: probed on each, chosen for all, recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from enos.errors import CapabilityError
from enos.netem.commands import Backend, commands, host_script
from enos.netem.plan import EmulationPlan
from enos.process import Shell
from enos.progress import Progress
from enos.remote import on_each, run_on
from enos.testbed import Host, Testbed

NEEDS = {
    Backend.NETEM: ("tc", "htb", "netem"),
    Backend.USER_SPACE: ("tc", "htb", "ipset", "nfqueue", "queues", "python3"),
}
COPIES, IPV6 = "copies", "nfqueue6"
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
    plans: Sequence[EmulationPlan] = (),
    sockets: Path | None = None,
) -> Choice:
    """Ask every host what it can do and return the choice, recorded as a decision.

    Args:
        testbed: the hosts.
        shell: reaches them.
        progress: is told the decision.
        wanted: the only back end to consider.
        plans: what will be applied, one after the other, since some hosts can only do
            a part.
        sockets: as `enos.remote` has it.

    Raises:
        CapabilityError: a host can do neither, or not the one wanted.

    """
    copies, six = any(map(mixes_copies, plans)), any(map(queues_ipv6, plans))

    def ask(host: Host) -> tuple[str, ...]:
        script = host_script("probe")
        done = run_on(shell, host, ("sh", "-s"), stdin=script, sockets=sockets)
        return tuple(done.stdout.split())

    with progress.step("What the hosts' kernels can emulate"):
        found = on_each(testbed.hosts, ask)
        choice = choose(found, wanted=wanted, copies=copies, six=six)
    progress.decision(f"network emulation by {choice.backend}: {choice.why}")
    return choice


def mixes_copies(plan: EmulationPlan) -> bool:
    """Tell whether a device needs a duplicating netem and another one."""
    for told in commands(plan, Backend.NETEM).values():
        for _, several in told.trees:
            held = [one.shaping for one in several if one.shaping.disturbs]
            if len(held) > 1 and any(one.duplicate.value for one in held):
                return True
    return False


def queues_ipv6(plan: EmulationPlan) -> bool:
    """Tell whether a host would queue what comes from an IPv6 address."""
    return any(
        ":" in address
        for interface in plan.interfaces
        for flow in interface.incoming
        if flow.shaping.disturbs
        for peer in flow.peers
        for address in peer.addresses
    )


def choose(
    capabilities: Mapping[str, tuple[str, ...]],
    *,
    wanted: Backend | None = None,
    copies: bool = False,
    six: bool = False,
) -> Choice:
    """Return the back end that all hosts can run, netem before user space.

    Args:
        capabilities: host name -> what was found there.
        wanted: the only one to consider.
        copies: netem would have to duplicate on one link and shape another.
        six: user space would have to queue IPv6.

    Raises:
        CapabilityError: there is none.

    """
    netem, user_space = NEEDS[Backend.NETEM], NEEDS[Backend.USER_SPACE]
    needs = {
        Backend.NETEM: (*netem, COPIES) if copies else netem,
        Backend.USER_SPACE: (*user_space, IPV6) if six else user_space,
    }
    missing = {
        backend: {
            host: absent
            for host, found in capabilities.items()
            if (absent := [need for need in several if need not in found])
        }
        for backend, several in needs.items()
    }
    for backend in (wanted,) if wanted else tuple(NEEDS):
        if not missing[backend]:
            why = "every host has sch_netem"
            if backend is Backend.USER_SPACE:
                why = _why_not(missing[Backend.NETEM])
            return Choice(backend=backend, why=why, capabilities=capabilities)
    last = wanted or Backend.USER_SPACE
    details = [f"{h}: no {', '.join(absent)}" for h, absent in missing[last].items()]
    raise CapabilityError(
        f"network emulation by {last} is not possible on {', '.join(missing[last])}",
        hint=PACKAGES,
        details="\n".join(details),
    )


def _why_not(lacking: Mapping[str, list[str]]) -> str:
    if not lacking:
        return "as asked"
    if all(absent == [COPIES] for absent in lacking.values()):
        hosts = ", ".join(lacking)
        return f"sch_netem on {hosts} does not duplicate on one link beside others"
    return f"no sch_netem on {', '.join(lacking)}"
