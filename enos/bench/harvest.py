"""Brings the trace points of a task home, on the bench host. Standard library only.

Copied to the bench host beside `runner.py` and imported by it there; the `redis`
package comes with Rally's environment. OSProfiler's Redis driver keeps a list
``osprofiler_opt:<trace>`` of JSON texts for each trace, newest first.

What is kept of a point is what an analysis needs. Arguments and results of functions,
parameters of statements and query strings are dropped here already: they hold tokens
and passwords.
"""

import gzip
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

FORMAT, VERSION = "enos-trace", 1
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+[(`\"\s]*(\w+)", re.IGNORECASE)

_CHART = "OSProfiler"
_SETTLED = 10
_PAUSE = 1.0
_KEYS = 1000  # of one command

Json = Mapping[str, Any]


def trace_ids(report: Json) -> Iterator[tuple[int, str]]:
    """Yield (number of the iteration, trace) of Rally's JSON report, from 1.

    Iterations are numbered by the time they began, as in the results; those that
    ended before they had a trace are left out.
    """
    number = 0
    for task in report.get("tasks", ()):
        for subtask in task.get("subtasks", ()):
            for workload in subtask.get("workloads", ()):
                data = workload.get("data") or ()
                for one in sorted(data, key=lambda each: each.get("timestamp") or 0.0):
                    number += 1
                    for output in (one.get("output") or {}).get("complete", ()):
                        if output.get("chart_plugin") == _CHART:
                            yield number, str(output["data"]["trace_id"])


def compact(raw: Json) -> dict[str, Any]:
    """Return a trace point reduced to what is needed and no secret.

    `us` are microseconds since the epoch; `what` is the request, statement or
    function; `error` the class of an exception.
    """
    kind, _, edge = str(raw["name"]).rpartition("-")
    info = raw.get("info") or {}
    point = {
        "id": raw["trace_id"],
        "parent": raw["parent_id"],
        "kind": kind,
        "edge": edge,
        "us": microseconds(str(raw["timestamp"])),
        "host": info.get("host", ""),
        "project": raw.get("project") or "",
        "service": raw.get("service") or "",
    }
    what, error = _what(info), str(info.get("etype") or "")
    return {**point, **({"what": what} if what else {}), **_only(error=error)}


def microseconds(timestamp: str) -> int:
    """Return a point's time, UTC, as microseconds since the epoch.

    >>> microseconds("1970-01-01T00:00:01.5")
    1500000
    """
    shape = "%Y-%m-%dT%H:%M:%S.%f" if "." in timestamp else "%Y-%m-%dT%H:%M:%S"
    when = datetime.strptime(timestamp, shape).replace(tzinfo=timezone.utc)  # noqa: UP017 - Python 3.10
    whole = int(when.replace(microsecond=0).timestamp())
    return whole * 1_000_000 + when.microsecond


def statement(sql: str) -> str:
    """Return the verb of a statement and the first table it names.

    >>> statement("SELECT a.x FROM (SELECT i.* FROM instances AS i) AS a WHERE 1")
    'SELECT instances'
    >>> statement("SELECT 1")
    'SELECT'
    """
    verb = sql.split(maxsplit=1)[0].upper() if sql.strip() else "SQL"
    tables = (table for table in _TABLE.findall(sql) if table.upper() != "SELECT")
    return f"{verb} {next(tables, '')}".strip()


def _what(info: Json) -> str:
    request, db, function = (info.get(key) or {} for key in _TOLD)
    if request:
        return f"{request.get('method', '')} {request.get('path', '')}".strip()
    if db:
        return statement(str(db.get("statement", "")))
    return str(function.get("name", ""))


_TOLD = ("request", "db", "function")


def _only(**named: str) -> dict[str, str]:
    return {key: value for key, value in named.items() if value}


def connected(store: str) -> Any:  # noqa: ANN401 - redis comes with Rally
    """Return a client of the store of trace points."""
    from redis import Redis

    return Redis.from_url(store, socket_timeout=5, socket_connect_timeout=2)


def silence(client: Any) -> str:  # noqa: ANN401 - see connected
    """Return why the store does not answer, empty when it does."""
    try:
        client.ping()
    except Exception as error:  # noqa: BLE001 - whatever redis or the socket raises
        return f"the store of trace points does not answer: {error}"
    return ""


def harvest(
    client: Any,  # noqa: ANN401 - see connected
    report: Json,
    folder: Path,
    *,
    pause: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Write a file for each traced iteration; tell how many, and what is missing.

    Waits until no more points arrive, since servers are deleted and ports unplugged
    after the last request was answered.
    """
    wanted = tuple(trace_ids(report))
    kept, empty, gap = 0, [], ""
    try:
        _settle(client, [trace for _, trace in wanted], pause)
        for number, trace in wanted:
            points = [compact(json.loads(one)) for one in _points(client, trace)]
            if points:
                _write(folder, number, trace, points)
                kept += 1
            else:
                empty.append(number)
    except Exception as error:  # noqa: BLE001 - the results must come home
        gap = f"the store of trace points does not answer: {error}"
    if empty and not gap:
        gap = f"no trace point of iteration {', '.join(map(str, empty))}"
    if not wanted:
        gap = gap or "Rally traced no iteration"
    return {"wanted": len(wanted), "kept": kept, "gap": gap}


def forget(client: Any, report: Json) -> str:  # noqa: ANN401 - see connected
    """Remove the points of a report's traces, which came home; return why not.

    They would stay for ever in the memory of the machine the store runs on.
    """
    keys = [_key(trace) for _, trace in trace_ids(report)]
    try:
        for begin in range(0, len(keys), _KEYS):
            client.unlink(*keys[begin : begin + _KEYS])
    except Exception as error:  # noqa: BLE001 - they are home, whatever it raises
        return f"points stay in the store of trace points: {error}"
    return ""


def _settle(client: Any, traces: Sequence[str], pause: Callable[[float], None]) -> None:  # noqa: ANN401
    before = -1
    for _ in range(_SETTLED):
        now = sum(client.llen(_key(trace)) for trace in traces)
        if now == before:
            return
        before = now
        pause(_PAUSE)


def _points(client: Any, trace: str) -> list[bytes]:  # noqa: ANN401 - see connected
    return list(client.lrange(_key(trace), 0, -1))


def _key(trace: str) -> str:
    return f"osprofiler_opt:{trace}"


def _write(folder: Path, number: int, trace: str, points: list[dict[str, Any]]) -> None:
    folder.mkdir(exist_ok=True)
    points.sort(key=lambda point: (point["us"], point["edge"] == "stop"))
    whole = {"format": FORMAT, "version": VERSION, "id": trace, "iteration": number}
    text = json.dumps({**whole, "points": points}, separators=(",", ":"))
    packed = gzip.compress(text.encode(), compresslevel=6, mtime=0)
    (folder / f"{number:04d}-{trace}.json.gz").write_bytes(packed)
