"""What became of the events: values, their JSON and tidy rows, the verdict. Pure."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from enos.bench.results import COLUMNS
from enos.errors import EmulationError

Outcome = Literal[
    "running",
    "done",
    "waited",
    "late",
    "failed",
    "not reached",
    "at the end",
    "interrupted",
]
"""`waited`: for the event before it, which took longer than there was between the two;
`late`: for no such reason; `at the end`: what was to undo something came with the end
of the benchmark."""
LATE = 1.0
"""Seconds after which an event did not begin when it was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One event as it was.

    Attributes:
        number: of the event in its plan, from 1; 0 for the healing at the end.
        asked: seconds after the clock of the run was started.
        at: when it began, seconds since the epoch; None when it did not.
        ended: when all hosts had done it, likewise.
        began: when the clock was started, likewise.
        scenario: the one under way.
        errors: machine → why it could not.

    """

    number: int
    what: str
    kind: str
    asked: float
    outcome: Outcome
    began: float
    at: float | None = None
    ended: float | None = None
    hosts: tuple[str, ...] = ()
    scenario: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Tell whether it happened as asked, be it after the one before."""
        return self.outcome in {"done", "waited", "at the end"}

    @property
    def offset(self) -> float | None:
        """Return the seconds after the clock was started when it really began."""
        return None if self.at is None else round(self.at - self.began, 3)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        plain = asdict(self)
        return {
            **plain,
            "hosts": list(self.hosts),
            "errors": dict(self.errors),
            "offset": self.offset,
            "ok": self.ok,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Return the event that `to_json` wrote."""
        names = cls.__dataclass_fields__
        given = {name: value for name, value in plain.items() if name in names}
        return cls(**{**given, "hosts": tuple(plain["hosts"])})


def punctuality(due: float, begun: float, *, free: float) -> Outcome:
    """Return what an event is that goes well, from seconds of one clock.

    Args:
        due: when it was to begin.
        begun: when it did.
        free: when the event before it had ended.

    """
    if begun - max(due, free) > LATE:
        return "late"
    return "waited" if begun - due > LATE else "done"


def as_csv(several: Iterable[Happened]) -> str:
    """Return tidy rows, as results.csv has them: two for each event that began.

    `iteration` is the number of the event, the value of ``event: …`` the seconds after
    the clock was started, that of ``event took: …`` the seconds until all hosts had
    done it.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in several:
        if one.at is None or one.ended is None:
            continue
        head, ok = (one.scenario, one.number), int(one.ok)
        took = round(one.ended - one.at, 3)
        writer.writerow((*head, f"event: {one.what}", one.offset, "s", ok))
        writer.writerow((*head, f"event took: {one.what}", took, "s", ok))
    return out.getvalue()


def judge(several: Sequence[Happened]) -> None:
    """Raise EmulationError for events that did not happen as asked."""
    wrong = [one for one in several if not one.ok]
    if wrong:
        raise EmulationError(
            f"{len(wrong)} of {len(several)} events did not happen as asked",
            hint="the run is not what the file asks for; see `events.json` beside its "
            "results",
            details="\n".join(
                f"{one.what} at {one.asked:g}s: {why(one)}" for one in wrong
            ),
        )


def why(one: Happened) -> str:
    """Return why an event did not happen as asked, or not when it was."""
    if one.errors:
        return "; ".join(f"{host}: {error}" for host, error in one.errors.items())
    if one.outcome in {"waited", "late"}:
        late = (one.offset or 0.0) - one.asked
        other = "when the one before had ended"
        reason = other if one.outcome == "waited" else "though none was under way"
        return f"it began {late:.1f} s late, {reason}"
    if one.outcome == "not reached":
        return "the benchmark ended before"
    return one.outcome
