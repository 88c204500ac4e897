"""Making events happen on the machines, and undone whatever becomes of enos.

Before the run each machine that an event will change is armed: it gets a watch of its
own, and a lease. While enos renews the lease nothing happens; when it does not for as
long as the lease lasts, the machine heals itself. Machines that are stopped or paused
cannot do that: where enos runs, a watch of the same kind brings them back.
"""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from enos.errors import CapabilityError, EmulationError, ProcessError, listed
from enos.events.plan import EventsPlan, Step
from enos.events.scripts import Place, emulated
from enos.process import Completed, Shell
from enos.progress import Progress
from enos.remote import on_each, run_on, ssh_argv
from enos.testbed import Host, Testbed

PATIENCE = 300.0  # seconds a machine may take for an event: services stop slowly
BRIEF = 10.0  # seconds it may take to renew its lease
TRIES = 60  # once a second: a machine that was started answers SSH by then
MACHINES = "machines"
HERE = "this machine"  # where enos runs, among the names of machines
_SH = ("sh", "-s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the hosts can do and have.

    Attributes:
        egress: hosts whose kernel can drop packets as they leave an interface.
        containers: host name → names of its containers, running or not.

    """

    egress: frozenset[str]
    containers: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Where the events happen: the machines and how they are reached.

    Attributes:
        place: where the hosts keep the watch; `here` where enos runs.
        sockets: as `enos.remote` takes it.

    """

    testbed: Testbed
    shell: Shell
    progress: Progress
    here: Place
    place: Place = field(default_factory=Place)
    sockets: Path | None = None

    def hosts(self, names: Iterable[str]) -> tuple[Host, ...]:
        """Return the hosts of these names, in testbed order."""
        wanted = set(names)
        return tuple(host for host in self.testbed.hosts if host.name in wanted)

    def on(self, host: Host, script: str, *, timeout: float = PATIENCE) -> Completed:
        """Run a script on a host, as root; a timeout counts as a failure."""
        try:
            return run_on(
                self.shell,
                host,
                _SH,
                stdin=script,
                check=False,
                timeout=timeout,
                sockets=self.sockets,
            )
        except ProcessError as late:
            return _late(late)

    def locally(self, script: str) -> Completed:
        """Run a script on this machine; a timeout counts as a failure."""
        try:
            return self.shell.run(_SH, stdin=script, check=False, timeout=PATIENCE)
        except ProcessError as late:
            return _late(late)


def look(where: Field) -> Found:
    """Ask every host what it can do and which containers it has.

    Raises EmulationError for a host that does not answer, CapabilityError for one that
    lacks a program.
    """
    script = where.place.script("look")
    with where.progress.step("What the hosts can do for events"):
        said = on_each(where.testbed.hosts, lambda host: where.on(host, script))
    failed = {name: one for name, one in said.items() if not one.ok}
    if failed:
        name, one = next(iter(failed.items()))
        raise EmulationError(
            f"{listed(failed)} cannot be asked what can be done there: {last(one)}",
            hint=f"try `enos ssh {name}`",
        )
    words = {
        name: tuple(tuple(line.split()) for line in one.stdout.splitlines())
        for name, one in said.items()
    }
    for need, package in (("nft", "nftables"), ("flock", "util-linux")):
        lacking = [name for name, lines in words.items() if ("can", need) not in lines]
        if lacking:
            raise CapabilityError(
                f"events need the program `{need}` on {listed(lacking)}",
                hint=f"install the package {package} there",
            )
    return Found(
        egress=frozenset(n for n, lines in words.items() if ("can", "egress") in lines),
        containers={
            name: tuple(line[1] for line in lines if line[0] == "container")
            for name, lines in words.items()
        },
    )


def arm(plan: EventsPlan, where: Field) -> None:
    """Make every machine of the plan able to heal itself.

    Raises EmulationError that names the machines that refused; none is left armed.
    """
    hosts = where.hosts(plan.hosts)
    with where.progress.step(f"Let {len(hosts)} machines heal themselves"):
        if plan.switched:
            undo = {MACHINES: _bringing_back(plan, where)}
            done = where.locally(where.here.arming(undo))
            _refuse({HERE: done})
        refused = on_each(hosts, lambda host: _arm(host, plan, where))
        try:
            _refuse(refused)
        except EmulationError:
            finish(plan.hosts, where, here=bool(plan.switched))
            raise


def do(step: Step, where: Field, plan: EventsPlan) -> dict[str, str]:
    """Make an event happen; return machine → why it could not, empty when all did."""
    if step.here:
        calls = ("enter", f"begin {MACHINES}", *map(shlex.join, step.here))
        done = where.locally(where.here.script(*calls))
        if not done.ok:
            return dict.fromkeys(step.switched, last(done))

    def work(host: Host) -> Completed:
        if host.name in step.back:
            back = _return(host, plan, where)
            if not back.ok or host.name not in step.tasks:
                return back
        return where.on(host, step.tasks[host.name].script(where.place))

    hosts = where.hosts((*step.tasks, *step.back))
    return _failures(on_each(hosts, work))


def renew(
    names: Iterable[str], where: Field, beat: str, *, here: bool
) -> dict[str, str]:
    """Prolong the leases; return machine → why that failed.

    What fails on one machine, this one with its full disk included, keeps no other
    from its lease.
    """
    script = where.place.script(f"renew {shlex.quote(beat)}")
    hosts = where.hosts(names)
    said = on_each(hosts, lambda host: where.on(host, script, timeout=BRIEF))
    failed = _failures(said)
    if here:
        try:
            lease = Path(where.here.folder, "lease")
            lease.write_text(f"{beat}\n", encoding="utf-8")
        except OSError as refused:
            failed[HERE] = str(refused)
    return failed


def finish(
    names: Iterable[str], where: Field, *, here: bool
) -> tuple[dict[str, float], dict[str, str]]:
    """Undo all that events left, and disarm; harmless when there is nothing.

    Args:
        names: of the machines that were armed.
        where: the machines.
        here: whether machines may have been switched, too; they are brought back first.

    Returns:
        Machine → when it had healed itself (seconds since the epoch), and machine →
        why it could not be healed now.

    """
    failed: dict[str, str] = {}
    if here and Path(where.here.folder).is_dir():
        failed = _failures({HERE: where.locally(where.here.script("finish"))})
    script = where.place.script("finish")
    said = on_each(where.hosts(names), lambda host: where.on(host, script))
    healed = {
        name: float(one.stdout)
        for name, one in said.items()
        if one.ok and one.stdout.strip()
    }
    return healed, failed | _failures(said)


def last(done: Completed) -> str:
    """Return the last line a program printed."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1] if lines else f"status {done.returncode}"


def _arm(host: Host, plan: EventsPlan, where: Field) -> Completed:
    undo = {}
    if host.name in plan.before:
        undo["network"] = emulated(plan.before[host.name])
    return where.on(host, where.place.arming(undo))


def _return(host: Host, plan: EventsPlan, where: Field) -> Completed:
    """Wait for a machine that is on again; arm it anew when it has lost its memory."""
    done = where.locally(_until(host, where))
    if not done.ok:
        return done
    alive = where.on(host, where.place.script("renew back"), timeout=BRIEF)
    return alive if alive.ok else _arm(host, plan, where)


def _bringing_back(plan: EventsPlan, where: Field) -> str:
    """Return the script that brings switched machines back, with their emulation."""
    lines = ["set -u"]
    for host in where.hosts(plan.switched):
        lines += [f"{shlex.join(argv)} || true" for argv in plan.switched[host.name]]
    for host in where.hosts(plan.switched):
        lines.append(_until(host, where))
        told = plan.before.get(host.name)
        if told:
            again = shlex.join(ssh_argv(host, _SH, sockets=where.sockets))
            lines.append(f"{again} <<'EMULATION' || exit 1\n{told.script}\nEMULATION")
    return "\n".join(lines) + "\n"


def _until(host: Host, where: Field) -> str:
    answer = shlex.join(ssh_argv(host, ("true",), sockets=where.sockets))
    return (
        f"n=0; until {answer} </dev/null; do n=$((n + 1)); "
        f"[ $n -lt {TRIES} ] || exit 1; sleep 1; done"
    )


def _late(late: ProcessError) -> Completed:
    return Completed(argv=_SH, returncode=255, stderr=late.message)


def _failures(done: Mapping[str, Completed]) -> dict[str, str]:
    return {name: last(one) for name, one in done.items() if not one.ok}


def _refuse(done: Mapping[str, Completed]) -> None:
    failed = _failures(done)
    if failed:
        name = next(iter(failed))
        raise EmulationError(
            f"{listed(failed)} cannot be made to heal itself: {failed[name]}",
            hint="nothing was changed; see what is special about it with `enos ssh`",
            details="\n".join(f"{host}: {why}" for host, why in failed.items()),
        )
