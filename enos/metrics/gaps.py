"""Where measures are missing. Pure."""

from collections.abc import Iterable
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch of time in which a machine was not measured, in epoch seconds."""

    host: str
    begin: float
    end: float

    def __str__(self) -> str:
        """Return it for people."""
        when = datetime.fromtimestamp(self.begin, UTC)
        return f"{self.host}: none for {self.end - self.begin:.0f} s from {when:%X} UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Whether a span of time was measured on all machines.

    Attributes:
        begin: epoch seconds, likewise `end`.
        interval: seconds between two samples.
        problem: why the database could not be asked, empty when it could.

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
            message = f"measures of {self.end - self.begin:.0f} s cannot be had"
            raise MonitoringError(f"{message}: {self.problem}", hint=hint)
        first, *more = self.gaps
        others = f", and {len(more)} more" if more else ""
        details = "\n".join(map(str, self.gaps))
        message = f"measures are missing of {first}{others}"
        raise MonitoringError(message, hint=hint, details=details)


def find(series: Iterable[Series], span: Coverage) -> tuple[Gap, ...]:
    """Return the gaps of over `PERIODS` intervals in the heartbeats of hosts.

    The ends of the span count like samples: a machine that was measured from the
    middle on has a gap before, one never measured has one of the whole span.
    """
    beats = {
        one.host: [when for when, _ in one.points if span.begin <= when <= span.end]
        for one in series
        if one.measure == HEARTBEAT
    }
    return tuple(
        Gap(host=host, begin=earlier, end=later)
        for host in span.hosts
        for earlier, later in pairwise([span.begin, *beats.get(host, []), span.end])
        if later - earlier > PERIODS * span.interval
    )
