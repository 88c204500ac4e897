"""The network a benchmark runs on: asked of the hosts, and kept with the results."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from enos import netem
from enos.config.events import Timeline
from enos.errors import EmulationError, EnosError, StateError
from enos.phases import byhand, tc
from enos.phases.session import Session
from enos.state.directory import write_atomically

FILE = "network.json"
NOT_ASKED = (
    "the file has network constraints, but `enos tc` was not run: nothing is emulated;"
    " for results of that network run `enos tc` before `enos bench`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulated:
    """What is emulated.

    Attributes:
        backend: empty where nothing is.
        by_hand: what was set over the experiment file.
        commands: host name → what it was told.
        note: why it is not what the file says, empty when it is.
        shortcomings: what the back end does not do as asked, a sentence each.

    """

    backend: str = ""
    by_hand: tuple[byhand.Written, ...] = ()
    commands: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    shortcomings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        several = [dict(one) for one in self.by_hand]
        told = dict(self.commands)
        return {
            "backend": self.backend,
            "set": several,
            "commands": told,
            "note": self.note,
            "shortcomings": list(self.shortcomings),
        }


def in_force(session: Session) -> Emulated:
    """Return what the hosts emulate; nothing is asked of them where `tc` was not run.

    Raises StateError after a `tc` that did not end, and EmulationError naming the host
    where it is not, or no longer, what was planned, or the VIP that moved.
    """
    record = session.directory.load().phases.get("tc")
    if record is None:
        asked = session.experiment.constraints
        wanted = asked.enable and not asked.empty
        return Emulated(note=NOT_ASKED if wanted else "")
    if record.status != "done":
        raise StateError(
            "the network is not, or only in part, what was asked: `tc` did not end",
            hint="run `enos tc` again, or `enos tc --reset` to emulate nothing",
        )
    with session.progress.step("asking the hosts what they emulate"):
        backend, plan = tc.in_force(session)
    told = netem.commands(plan, backend)
    return Emulated(
        backend=str(backend),
        by_hand=byhand.read(session.directory),
        commands={host: mine.text for host, mine in told.items()},
        shortcomings=tc.shortcomings(session, plan, backend),
    )


def lost(session: Session, emulated: Emulated) -> str:
    """Return why the network is no longer what it was, empty when it is."""
    try:
        now = in_force(session)
    except EnosError as error:
        return error.message
    return "" if now == emulated else "it was changed meanwhile"


def keep(emulated: Emulated, folder: Path, problem: str = "") -> str:
    """Write beside a run's results what was emulated; return why it was not all along.

    Args:
        emulated: of `in_force`.
        folder: of the run.
        problem: of `lost`; one that an earlier part of the run had is kept.

    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    if not problem and file.exists():  # of an earlier part of the run
        problem = json.loads(file.read_text(encoding="utf-8"))["problem"]
    text = json.dumps({**emulated.to_json(), "problem": problem}, indent=2)
    write_atomically(file, text + "\n")
    return problem


def judge(problem: str) -> None:
    """Raise EmulationError when the network was not what it should be all along."""
    if problem:
        raise EmulationError(
            f"the network of the run was not emulated to its end: {problem}",
            hint="the results are kept; for those of that network run `enos tc`, then"
            " `enos bench` again",
        )


def fingerprint(emulated: Emulated, timeline: Timeline) -> str:
    """Return what tells runs under other conditions apart; empty for none at all."""
    alone = replace(emulated, note="", shortcomings=())  # they change no network
    if alone == Emulated() and timeline == Timeline():
        return ""
    told = alone.to_json()
    del told["note"], told["shortcomings"]
    conditions = [told, asdict(timeline)]
    plain = json.dumps(conditions, sort_keys=True, default=str)
    return sha256(plain.encode()).hexdigest()
