"""Trace points fetched from a real store, and a store that dies meanwhile."""

import gzip
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from enos.bench import harvest
from enos.traces.points import read
from enos.traces.tree import grown

pytestmark = [pytest.mark.integration]


def notify(
    store: SimpleNamespace, trace: str, name: str, at: str, **info: object
) -> None:
    """Send a point as OSProfiler's Redis driver does."""
    point = {
        "name": name, "base_id": trace, "trace_id": f"{trace}-1", "parent_id": trace,
        "timestamp": f"2026-01-02T03:04:{at}", "project": "nova", "service": "api",
        "info": {"host": "control-1", **info},
    }  # fmt: skip
    store.client.lpush(f"osprofiler_opt:{trace}", json.dumps(point))


def report(*traces: str) -> dict[str, Any]:
    data = [
        {
            "timestamp": number,
            "output": {
                "complete": [
                    {"chart_plugin": "OSProfiler", "data": {"trace_id": trace}}
                ]
            },
        }
        for number, trace in enumerate(traces)
    ]
    return {"tasks": [{"subtasks": [{"workloads": [{"data": data}]}]}]}


def test_points_become_files_that_become_trees(
    store: SimpleNamespace, tmp_path: Path
) -> None:
    secret = {"method": "GET", "path": "/v3", "query": "password=hidden"}
    notify(store, "aaaa", "wsgi-start", "05.000100", request=secret)
    notify(store, "aaaa", "wsgi-stop", "05.250100")

    told = harvest.harvest(
        store.client, report("aaaa"), tmp_path / "traces", pause=lambda _: None
    )

    assert told == {"wanted": 1, "kept": 1, "gap": ""}
    (file,) = (tmp_path / "traces").iterdir()
    assert b"hidden" not in gzip.decompress(file.read_bytes())
    (span,) = grown(read(file)).spans.values()
    assert span.operation == "GET /v3"
    assert span.seconds == pytest.approx(0.25)
    assert harvest.forget(store.client, report("aaaa")) == ""
    assert store.client.keys() == []


def test_points_that_arrive_late_are_waited_for(
    store: SimpleNamespace, tmp_path: Path
) -> None:
    notify(store, "aaaa", "rpc-start", "05.0")
    late = iter(("06.0", "07.0"))

    def pause(_: float) -> None:
        if at := next(late, ""):
            notify(store, "aaaa", "rpc-stop", at)

    told = harvest.harvest(store.client, report("aaaa"), tmp_path / "t", pause=pause)

    assert told["kept"] == 1
    (file,) = (tmp_path / "t").iterdir()
    assert len(read(file).points) == 3


def test_a_store_that_died_is_named(store: SimpleNamespace, tmp_path: Path) -> None:
    assert harvest.silence(store.client) == ""
    store.end()
    assert "does not answer" in harvest.silence(store.client)
    told = harvest.harvest(
        store.client, report("aaaa"), tmp_path / "t", pause=lambda _: None
    )
    assert (told["wanted"], told["kept"]) == (1, 0)
    assert "does not answer" in told["gap"]


def test_a_wrong_password_is_told_without_it(store: SimpleNamespace) -> None:
    wrong = store.address.replace(":toy@", ":secret-guess@")
    told = harvest.silence(harvest.connected(wrong))
    assert "does not answer" in told
    assert "secret-guess" not in told
