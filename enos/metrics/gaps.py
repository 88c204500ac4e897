"""Where measures are missing. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from enos.errors import MonitoringError
from enos.metrics.series import Series

PERIODS = 3
"""As many intervals may pass without a sample before that is a gap."""

HEARTBEAT = "cpu"
"""The measure every agent has at each interval."""

CONTAINERS = "containers"
"""The measure it has when it has sampled all containers, be there none.

The containers' own series end and begin with them, rightly.
"""

LOSSES = {"agent_dropped": "thrown away", "agent_refused": "refused by the database"}
"""What an agent counts → what became of so many points."""

SERVICE = "service_up"
"""The measure that is 1 while a service answers; none without its container."""

ASKED = (HEARTBEAT, CONTAINERS, SERVICE, *LOSSES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch of time in which a machine was not measured, in epoch seconds.

    Attributes:
        measure: `CONTAINERS` if only its containers were not.

    """

    host: str
    begin: float
    end: float
    measure: str = HEARTBEAT

    def __str__(self) -> str:
        """Return it for people."""
        when = datetime.fromtimestamp(self.begin, UTC)
        what = "" if self.measure == HEARTBEAT else f" ({self.measure})"
        long = f"{self.end - self.begin:.0f} s"
        return f"{self.host}{what}: none for {long} from {when:%X} UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Whether a span of time was measured on all machines.

    Attributes:
        begin: epoch seconds, likewise `end`.
        interval: seconds between two samples.
        problem: why the database could not be asked, or what it did not get.

    """

    begin: float
    end: float
    interval: float
    hosts: tuple[str, ...]
    gaps: tuple[Gap, ...] = ()
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether nothing is missing."""
        return not self.gaps and not self.problem

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        gaps = [{**asdict(gap), "seconds": gap.end - gap.begin} for gap in self.gaps]
        return {**asdict(self), "gaps": gaps, "ok": self.ok}

    def require(self) -> None:
        """Raise MonitoringError unless nothing is missing."""
        if self.ok:
            return
        hint = "the results are kept; `enos metrics status` tells how it is now"
        if self.problem:
            message = f"measures of {self.end - self.begin:.0f} s are not complete"
            raise MonitoringError(f"{message}: {self.problem}", hint=hint)
        first, *more = self.gaps
        others = f", and {len(more)} more" if more else ""
        details = "\n".join(map(str, self.gaps))
        message = f"measures are missing of {first}{others}"
        raise MonitoringError(message, hint=hint, details=details)


def find(
    series: Sequence[Series],
    span: Coverage,
    since: Mapping[str, float] | None = None,
) -> tuple[Gap, ...]:
    """Return the gaps of over `PERIODS` intervals in the heartbeats of hosts.

    The ends of the span count like samples: a machine that was measured from the
    middle on has a gap before, one never measured has one of the whole span.

    Args:
        series: `ASKED` of the span.
        span: the time that was to be measured.
        since: host → when it was measured first, if not from the beginning on.

    """
    machines = _silences(series, span, HEARTBEAT, since or {})
    if not any(one.measure == CONTAINERS for one in series):
        return machines  # of agents that do not count containers
    named = {gap.host for gap in machines}
    containers = _silences(series, span, CONTAINERS, since or {})
    return (*machines, *(gap for gap in containers if gap.host not in named))


def losses(series: Iterable[Series]) -> tuple[str, ...]:
    """Return what agents lost within the time of their series, a line each."""
    told = []
    for one in series:
        values = [value for _, value in one.points]
        # Counted from an agent's start on: a fall is another start.
        lost = sum(max(0.0, later - before) for before, later in pairwise(values))
        if one.measure in LOSSES and lost:
            told.append(f"{lost:.0f} points of {one.host} were {LOSSES[one.measure]}")
    return tuple(told)


def silent(
    series: Sequence[Series], span: Coverage, wanted: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """Return the services that did not answer once in a span, a line each.

    None of a span in which a machine may lack samples without a gap, and none of a
    machine that was not measured at all, which is a gap already.

    Args:
        series: `ASKED` of the span.
        span: the time that was to be measured.
        wanted: host → names of the services that are to be asked there.

    """
    if span.end - span.begin <= PERIODS * span.interval:
        return ()
    asked = [one for one in series if one.measure == SERVICE]
    answered = {
        (one.host, one.instance) for one in asked if any(up for _, up in one.points)
    }
    there = {one.host for one in series if one.measure == HEARTBEAT and one.points}
    known = {(one.host, one.instance) for one in asked}
    known |= {(host, name) for host, names in wanted.items() for name in names}
    return tuple(
        f"{name} on {host} never answered"
        for host, name in sorted(known - answered)
        if host in there
    )


def _silences(
    series: Iterable[Series], span: Coverage, measure: str, since: Mapping[str, float]
) -> tuple[Gap, ...]:
    beats = {
        one.host: [when for when, _ in one.points if span.begin <= when <= span.end]
        for one in series
        if one.measure == measure
    }
    begins = {host: max(span.begin, since.get(host, 0.0)) for host in span.hosts}
    return tuple(
        Gap(host=host, begin=earlier, end=later, measure=measure)
        for host, begin in begins.items()
        for earlier, later in pairwise([begin, *beats.get(host, []), span.end])
        if later - earlier > PERIODS * span.interval
    )
