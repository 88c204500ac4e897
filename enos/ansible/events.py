"""Reading the lines of the `enos_events` callback: values, no effects."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

BAD = frozenset({"failed", "unreachable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of a playbook run.

    Attributes:
        kind: ``play``, ``task``, ``start``, ``retry``, ``stats``, or how a task ended:
            ``ok``, ``changed``, ``skipped``, ``ignored`` or one of `BAD`.
        at: seconds since the epoch.
        task: name of the task, with its role (``nova : Copying over nova.conf``);
            the name of the play for ``play``.
        seconds: from the task's start on that host to its end.
        message: why, for a failure.

    """

    kind: str
    at: float = 0.0
    host: str = ""
    task: str = ""
    seconds: float = 0.0
    message: str = ""


def parse(line: str) -> Event | None:
    """Return the event a line holds; None for any other output."""
    if not line.startswith('{"event"'):
        return None
    try:
        plain: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return Event(
        kind=str(plain["event"]),
        at=float(plain.get("at", 0)),
        host=str(plain.get("host", "")),
        task=str(plain.get("task", plain.get("name", ""))),
        seconds=float(plain.get("seconds", 0)),
        message=str(plain.get("message", "")),
    )


def failures(events: Iterable[Event]) -> tuple[Event, ...]:
    """Return the failures, each host's first only: later ones follow from it."""
    first: dict[str, Event] = {}
    for event in events:
        if event.kind in BAD:
            first.setdefault(event.host, event)
    return tuple(first.values())


def waiting_for(event: Event) -> str:
    """Return what a person should read while this event is the last one."""
    where = f" on {event.host}" if event.host else ""
    more = f" ({event.message})" if event.kind == "retry" else ""
    return f"{event.task}{where}{more}"
