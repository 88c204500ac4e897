"""How the measuring of each machine goes, now."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from enos.errors import MonitoringError
from enos.metrics import gaps
from enos.phases import metrics
from enos.phases.session import Session

RECENT = 3600.0
"""Seconds for which a last sample is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStatus:
    """How the measuring of one machine goes.

    Attributes:
        age: seconds since its last sample, None for none.
        waiting: points the agent could not yet send.
        dropped: points it had to throw away.
        refused: points the database will never take.
        cost: share of a core the agent takes, None while unknown.

    """

    host: str
    age: float | None
    waiting: float = 0.0
    dropped: float = 0.0
    refused: float = 0.0
    cost: float | None = None


def status(session: Session) -> tuple[AgentStatus, ...]:
    """Return how the measuring of each machine goes, now."""
    wanted = (gaps.HEARTBEAT, "agent_waiting", "agent_cpu", *gaps.LOSSES)
    now, plan = time.time(), metrics.planned(session)
    found = metrics.series(session, wanted, begin=now - RECENT)
    last = {(one.measure, one.host, one.instance): one.points[-1] for one in found}

    def told(host: str) -> AgentStatus:
        beat = last.get((gaps.HEARTBEAT, host, ""))
        cost = last.get(("agent_cpu", host, "agent"))
        return AgentStatus(
            host=host,
            age=round(max(0.0, now - beat[0]), 1) if beat else None,
            waiting=last.get(("agent_waiting", host, ""), (0.0, 0.0))[1],
            dropped=last.get(("agent_dropped", host, ""), (0.0, 0.0))[1],
            refused=last.get(("agent_refused", host, ""), (0.0, 0.0))[1],
            cost=cost[1] if cost else None,
        )

    return tuple(told(one.host.name) for one in plan.hosts)


def require(found: Sequence[AgentStatus], interval: float) -> None:
    """Raise MonitoringError when a machine has no sample of late."""
    latest = gaps.PERIODS * interval
    late = [one.host for one in found if one.age is None or one.age > latest]
    if late:
        raise MonitoringError(
            f"{', '.join(late)} had no sample for {latest:g} s",
            hint="`enos up -f FILE` starts agents that have ended",
        )
