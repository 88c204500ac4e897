"""`enos info` and `enos status`: what is known of an experiment, as text and JSON."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enos import archive
from enos.phases import byhand
from enos.phases.session import Session
from enos.remote import on_each, run_on
from enos.state.journal import Timing, timings
from enos.state.record import State, to_json
from enos.testbed import Host

PHASES = ("up", "metrics", "os", "init", "tc", "bench", "backup", "destroy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The same answer twice: for people and for programs."""

    text: str
    values: dict[str, Any]


def of_session(session: Session) -> Told:
    """Tell where an experiment stands, its hosts and where the seconds went."""
    state = session.directory.load()
    took = timings(session.directory.journal.events())
    values = to_json(state) | {
        "directory": str(session.directory.path),
        "seconds": {t.what: t.seconds for t in took if t.kind == "phase"},
        "set": [dict(one) for one in byhand.read(session.directory)],
    }
    lines = [
        f"{state.session}  {session.directory.path}",
        *phase_rows(state),
        *byhand.rows(byhand.read(session.directory)),
        *host_rows(state),
        *time_rows(took),
    ]
    return Told(text="\n".join(lines), values=values)


def status(session: Session) -> Told:
    """Tell which phases are done and which hosts answer SSH."""
    state = session.directory.load()
    hosts = state.testbed.hosts if state.testbed else ()
    sockets = session.directory.sockets

    def answers(host: Host) -> bool:
        done = run_on(session.shell, host, ["true"], check=False, sockets=sockets)
        return done.ok

    alive = on_each(hosts, answers)
    rows = [f"{name:<16} {'up' if ok else 'no answer'}" for name, ok in alive.items()]
    phases = {name: ran.status for name, ran in state.phases.items()}
    by_hand = byhand.read(session.directory)
    return Told(
        text="\n".join([*phase_rows(state), *byhand.rows(by_hand), *rows]),
        values={
            "session": state.session,
            "phases": phases,
            "hosts": alive,
            "set": [dict(one) for one in by_hand],
        },
    )


def of_archive(path: Path) -> Told:
    """Tell what an archive holds, read anywhere."""
    description = archive.describe(path)
    return Told(text=archive.as_text(description), values=archive.as_json(description))


def phase_rows(state: State) -> list[str]:
    """Return a line for each phase that ever ran."""
    return [
        f"{name:<10} {ran.status:<8} {max(0.0, ran.finished - ran.started):7.1f} s"
        for name in PHASES
        if (ran := state.phases.get(name)) is not None
    ]


def host_rows(state: State) -> list[str]:
    """Return a line for each host: address, groups and roles."""
    hosts = state.testbed.hosts if state.testbed else ()
    return [
        f"{host.name:<16} {host.address:<16} {','.join(host.groups):<12} "
        f"{','.join(host.roles)}"
        for host in hosts
    ]


def time_rows(took: Iterable[Timing], *, most: int = 15) -> list[str]:
    """Return the steps that cost most, the longest first."""
    steps = [timing for timing in took if timing.kind == "step"]
    longest = sorted(steps, key=lambda timing: -timing.seconds)[:most]
    rows = [
        f"{timing.seconds:8.1f} s  {timing.phase:<8} {timing.what}"
        f"{f' on {timing.host}' if timing.host else ''}"
        for timing in longest
    ]
    return ["where the time went:", *rows] if rows else []
