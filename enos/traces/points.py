"""Files of trace points, as a bench run keeps them: `traces/0001.json.gz`."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enos.errors import TraceError

FORMAT, VERSION = "enos-trace", 1
MICRO = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A service's note that something began or ended.

    Attributes:
        id: of the span it belongs to.
        parent: of the span that called it, or the id of the trace.
        kind: OSProfiler's name: ``wsgi``, ``rpc``, ``db``, ``neutron.db``, …
        ends: False when it began.
        us: microseconds since the epoch, by the host's own clock.
        what: request, statement or function; empty when it ends.
        error: class of the exception it ended with.

    """

    id: str
    parent: str
    kind: str
    ends: bool
    us: int
    host: str = ""
    project: str = ""
    service: str = ""
    what: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The points of one iteration.

    Attributes:
        iteration: counted from 1.

    """

    id: str
    iteration: int
    points: tuple[Point, ...]


def read(path: Path) -> Trace:
    """Return the trace in a file; raises TraceError when it is damaged or none."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return parsed(json.load(file))
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise TraceError(
            f"`{path}` is no trace that can be read",
            hint="run the benchmark again, or take the file from an archive",
            details=f"{type(error).__name__}: {error}",
        ) from None


def parsed(plain: Mapping[str, Any]) -> Trace:
    """Return the trace of a file's content; raises ValueError or KeyError."""
    if plain.get("format") != FORMAT or plain.get("version") != VERSION:
        raise ValueError(f"not of format {FORMAT} {VERSION}")
    return Trace(
        id=str(plain["id"]),
        iteration=int(plain["iteration"]),
        points=tuple(_point(one) for one in plain["points"]),
    )


def _point(plain: Mapping[str, Any]) -> Point:
    return Point(
        id=str(plain["id"]),
        parent=str(plain["parent"]),
        kind=str(plain["kind"]),
        ends=plain["edge"] == "stop",
        us=int(plain["us"]),
        host=str(plain.get("host", "")),
        project=str(plain.get("project", "")),
        service=str(plain.get("service", "")),
        what=str(plain.get("what", "")),
        error=str(plain.get("error", "")),
    )
