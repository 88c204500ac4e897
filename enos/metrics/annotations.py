"""What happened, as points of the measurement `events` beside the measures. Pure.

Each has the tags `kind` (``phase``, ``scenario``, ``event``) and `what`, the field
`status`, and maybe the fields `phase`, `host` and, at an end, `seconds`. Grafana draws
them with ``SELECT "what", "kind", "status" FROM "events" WHERE $timeFilter``.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from enos.metrics.agent.writer import ESCAPED

MEASUREMENT = "events"
_FIELDS = ("status", "phase", "host")


def lines(journal: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return line protocol, times in ms, for the events of a journal."""
    return tuple(_line(event, kind) for event in journal if (kind := _kind(event)))


def _kind(event: Mapping[str, Any]) -> str:
    match event:
        case {"kind": "step", "phase": "bench"}:
            return "scenario"
        case {"kind": "phase" | "event" as kind}:
            return str(kind)
        case _:
            return ""


def _line(event: Mapping[str, Any], kind: str) -> str:
    what = str(event["what"]).strip().rstrip("\\") or "-"
    given = {"status": "happened"} | {key: event[key] for key in event if event[key]}
    fields = [f"{key}={_quoted(given[key])}" for key in _FIELDS if key in given]
    if "seconds" in event:
        fields.append(f"seconds={float(event['seconds'])}")
    told = ",".join(fields)
    stamp = round(float(event["time"]) * 1000)
    return f"{MEASUREMENT},kind={kind},what={what.translate(ESCAPED)} {told} {stamp}"


def _quoted(value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{text}"'
