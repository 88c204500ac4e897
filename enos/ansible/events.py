"""Reading the lines of the `enos_events` callback: values, no effects."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

DONE = frozenset({"ok", "changed", "skipped", "ignored", "failed", "unreachable"})
BAD = frozenset({"failed", "unreachable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of a playbook run.

    Attributes:
        kind: ``play``, ``task``, ``start``, ``retry``, ``stats`` or one of `DONE`.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTime:
    """How long a task of a run took, from its first start to its last end."""

    task: str
    seconds: float
    hosts: int


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


def task_times(events: Iterable[Event]) -> tuple[TaskTime, ...]:
    """Return the tasks of a run with their wall-clock times, in order."""
    times: list[TaskTime] = []
    name, began, ended, hosts = "", 0.0, 0.0, 0
    for event in (*events, Event(kind="task")):
        if event.kind == "task":
            if hosts:
                times.append(TaskTime(task=name, seconds=ended - began, hosts=hosts))
            name, began, ended, hosts = event.task, event.at, event.at, 0
        elif event.kind in DONE:
            ended, hosts = event.at, hosts + 1
    return tuple(times)


def waiting_for(event: Event) -> str:
    """Return what a person should read while this event is the last one."""
    where = f" on {event.host}" if event.host else ""
    more = f" ({event.message})" if event.kind == "retry" else ""
    return f"{event.task}{where}{more}"
