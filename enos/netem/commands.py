"""From a plan to what each host has to do: files and one sh script. Pure.

The script is all or nothing: whatever ends it early (a refused command, a device that
vanished, a lost connection) takes away all that enos added to the host before.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.resources import files
from textwrap import indent

from enos.netem.plan import EmulationPlan, Interface
from enos.netem.standalone import standalone
from enos.netem.trafficcontrol import HANDLE, TrafficClass, batch, classes
from enos.netem.userspace import (
    CHAIN,
    SET_PREFIX,
    Queue,
    ipset_lines,
    iptables_lines,
    lanes,
    queues,
)

FOLDER = "/run/enos-netem"
UNIT = "enos-netem"
PROGRAMS = DAEMON, KEEPER = "delayd.py", "keeper.sh"
_END = "END-OF-FILE-BY-ENOS"


class Backend(StrEnum):
    """What makes delay and loss; the rate is always htb's."""

    NETEM = "netem"
    USER_SPACE = "user-space"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCommands:
    """What one host has to do.

    Attributes:
        files: name in `FOLDER` and content.
        trees: device and its classes, for each device with an htb tree.
        queues: netfilter queues the daemon serves.
        steps: sh commands that use the files, after everything older was removed.

    """

    host: str
    backend: Backend
    files: tuple[tuple[str, str], ...]
    trees: tuple[tuple[str, tuple[TrafficClass, ...]], ...]
    queues: tuple[Queue, ...]
    steps: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return files and commands for people to read, without what is always so."""
        shown = [
            f"# file {FOLDER}/{name}\n{indent(content, '    ')}"
            for name, content in self.files
            if name not in PROGRAMS
        ]
        return "".join(shown) + "\n".join(self.steps) + "\n"

    @property
    def script(self) -> str:
        """Return the sh script that clears, applies and, on failure, clears again."""
        files = map(_write, self.files)
        return host_script("all_or_nothing", *files, *self.steps, "complete=yes")

    @property
    def changing_script(self) -> str:
        """Return the sh script that goes over from what the host emulates now.

        In user space links are not bare meanwhile, and packets that are held stay so.
        """
        if not self.queues:
            return self.script
        numbers = " ".join(str(queue.number) for queue in self.queues)
        # What runs is not overwritten.
        kept = {
            one: f"alive || {_write(one)}" for one in self.files if one[0] in PROGRAMS
        }
        calls = (
            *("change", *(kept.get(one) or _write(one) for one in self.files)),
            *(f"tree {device}" for device, _ in self.trees),
            *("tell_daemon", f"await_classes {numbers}", "new_sets"),
            *("rules 4 iptables", "rules 6 ip6tables", "old_sets", "forget_before"),
        )
        return host_script(_source("change.sh"), *calls, "complete=yes")

    @property
    def report_script(self) -> str:
        """Return the sh script that prints what `enos.netem.readback` compares."""
        return host_script(" ".join(["report", *(device for device, _ in self.trees)]))


def commands(plan: EmulationPlan, backend: Backend) -> dict[str, HostCommands]:
    """Return what each host of the plan has to do: host name -> commands.

    Raises EmulationError when an interface needs more classes than tc has.
    """
    return {host: _of_host(host, plan, backend) for host in plan.hosts}


def clearing_script() -> str:
    """Return the sh script that removes what enos added, and nothing else."""
    return host_script("alone", "clear_all")


def _of_host(host: str, plan: EmulationPlan, backend: Backend) -> HostCommands:
    netem = backend is Backend.NETEM
    written: list[tuple[str, str]] = []
    trees: list[tuple[str, tuple[TrafficClass, ...]]] = []
    steps: list[str] = []
    interfaces = plan.of(host)
    for interface in _by_device(interfaces):
        lines = batch(interface, netem=netem, spared_ports=plan.spared_ports)
        if lines:
            device = interface.device
            written.append((f"{device}.tc", lines))
            trees.append((device, classes(interface, netem=netem)))
            steps += [f"own {device}", f"tc -batch {device}.tc"]
    several = () if netem else queues(interfaces)
    if several:
        written += _queue_files(several, plan)
        steps += _queue_steps(several, tuple(name for name, _ in written))
    return HostCommands(
        host=host,
        backend=backend,
        files=tuple(written),
        trees=tuple(trees),
        queues=several,
        steps=tuple(steps),
    )


def _by_device(interfaces: tuple[Interface, ...]) -> tuple[Interface, ...]:
    """Join what leaves through one device for several networks: it has one tree."""
    joined: dict[str, Interface] = {}
    for one in interfaces:
        before = joined.get(one.device)
        flows = (*before.outgoing, *one.outgoing) if before else one.outgoing
        joined[one.device] = replace(one, outgoing=flows)
    return tuple(joined.values())


def _queue_files(
    several: tuple[Queue, ...], plan: EmulationPlan
) -> list[tuple[str, str]]:
    tables = [
        (f"raw{version}", iptables_lines(several, version, spared_ports=ports))
        for ports in (plan.spared_ports,)
        for version in (4, 6)
    ]
    return [
        (DAEMON, standalone(DAEMON)),
        (KEEPER, host_script('keep "$1"')),
        ("classes.json", lanes(several) + "\n"),
        ("sources.ipset", ipset_lines(several)),
        *((name, lines) for name, lines in tables if lines),
    ]


def _queue_steps(several: tuple[Queue, ...], names: tuple[str, ...]) -> list[str]:
    steps = [
        "start_daemon",
        f"await_queues {' '.join(str(queue.number) for queue in several)}",
        "ipset restore < sources.ipset",
    ]
    if "raw4" in names:
        steps.append("iptables-restore --noflush < raw4")
    if "raw6" in names:
        steps.append("ip6tables-restore --noflush < raw6")
    return steps


def _write(named: tuple[str, str]) -> str:
    name, content = named
    return f"cat > {name} <<'{_END}'\n{content}{_END}"


def host_script(*calls: str) -> str:
    """Return an sh script that defines the functions of `host.sh`, then calls some."""
    names = {
        "FOLDER": FOLDER,
        "DAEMON": DAEMON,
        "KEEPER": KEEPER,
        "UNIT": UNIT,
        "CHAIN": CHAIN,
        "PREFIX": SET_PREFIX,
        "HANDLE": HANDLE,
    }
    assigned = [f"{name}={value}" for name, value in names.items()]
    return "\n".join([*assigned, _source("host.sh"), *calls, ""])


def _source(name: str) -> str:
    return files("enos.netem").joinpath(name).read_text(encoding="utf-8")
