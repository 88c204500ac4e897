"""What happened, one JSON object a line, appended and never rewritten.

Every event has `time` (seconds since the epoch), `kind` and `what`; the kinds are
`phase`, `step`, `decision`, `warning` and `event`, for what was changed during a
benchmark. Phases and steps come as pairs of `status`: `started`, then `finished`,
`failed` or `skipped` with `seconds`.
"""

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

_LOCK = Lock()  # threads of one process; processes are kept apart by the state lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a phase or step took; `status` says how it ended."""

    kind: str
    phase: str
    what: str
    host: str
    status: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal of an experiment directory."""

    path: Path

    def append(self, kind: str, what: str, **facts: Any) -> None:  # noqa: ANN401 - JSON
        """Append one event; with the kernel when this returns, so enos may be killed.

        A machine that goes down may lose the last ones: what a phase needs to go on is
        in the state, which is synced. Behind a line that a full disk cut short a new
        one begins.
        """
        event = {"time": round(time.time(), 3), "kind": kind, "what": what, **facts}
        line = json.dumps(event, ensure_ascii=False) + "\n"
        with _LOCK, self.path.open("a+b") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                line = line if file.read() == b"\n" else f"\n{line}"
            file.write(line.encode())

    def events(self) -> tuple[dict[str, Any], ...]:
        """Return all events; a last line cut off by a crash is left out."""
        if not self.path.exists():
            return ()
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        return tuple(event for line in lines if (event := _event(line)) is not None)


def timings(events: Iterable[dict[str, Any]]) -> tuple[Timing, ...]:
    """Return what phases and steps took, in the order in which they ended."""
    return tuple(
        Timing(
            kind=event["kind"],
            phase=event.get("phase", ""),
            what=event["what"],
            host=event.get("host", ""),
            status=event["status"],
            seconds=event["seconds"],
        )
        for event in events
        if event["kind"] in {"phase", "step"} and "seconds" in event
    )


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        return None
    return event if isinstance(event, dict) and "kind" in event else None
