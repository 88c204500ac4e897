"""Which trace points are brought home, and what of them."""

import gzip
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enos.bench import tracing
from enos.bench.harvest import compact, forget, harvest, microseconds, trace_ids
from enos.bench.results import Iteration, ScenarioResult
from enos.bench.tracing import Profiler, profiled
from enos.errors import TraceError

START: dict[str, Any] = {
    "name": "wsgi-start",
    "base_id": "b",
    "trace_id": "t",
    "parent_id": "b",
    "timestamp": "2026-11-21T10:00:00.000250",
    "project": "nova",
    "service": "osapi_compute",
    "info": {
        "host": "control-1",
        "request": {
            "method": "POST",
            "path": "/v2.1/servers",
            "query": "token=gAAAA",
            "scheme": "http",
        },
    },
}
DB = {
    **START,
    "name": "db-start",
    "info": {
        "host": "control-1",
        "db": {"statement": "SELECT  a\n FROM b", "params": {"password": "secret"}},
    },
}
CALL = {
    **START,
    "name": "compute_api-start",
    "info": {
        "host": "control-1",
        "function": {"name": "nova.f", "args": "(token gAAAA)", "kwargs": "{}"},
    },
}


class Store:
    """Lists of a Redis, which may go away at some call."""

    def __init__(self, lists: dict[str, list[str]], *, breaks: str = "") -> None:
        self.lists, self.breaks = lists, breaks

    def llen(self, key: str) -> int:
        return len(self._of("llen", key))

    def lrange(self, key: str, _: int, __: int) -> list[str]:
        return self._of("lrange", key)

    def unlink(self, *keys: str) -> None:
        for key in keys:
            self._of("unlink", key)
            del self.lists[key]

    def _of(self, call: str, key: str) -> list[str]:
        if call == self.breaks:
            raise ConnectionError("Connection refused")
        return self.lists.get(key, [])


def report(*traces: str) -> dict[str, Any]:
    data = [
        {
            "timestamp": float(number),
            "output": {
                "complete": [
                    {"chart_plugin": "StackedArea", "data": []},
                    {"chart_plugin": "OSProfiler", "data": {"trace_id": trace}},
                ]
            },
        }
        for number, trace in enumerate(traces)
    ]
    # Rally lists iterations as they ended
    return {"tasks": [{"subtasks": [{"workloads": [{"data": data[::-1]}]}]}]}


def gathered(store: Store, folder: Path, *traces: str) -> dict[str, Any]:
    return harvest(store, report(*traces), folder, pause=lambda _: None)


def test_a_request_keeps_its_method_and_path_but_not_its_query() -> None:
    assert compact(START) == {
        "id": "t",
        "parent": "b",
        "kind": "wsgi",
        "edge": "start",
        "us": 1_795_255_200_000_250,
        "host": "control-1",
        "project": "nova",
        "service": "osapi_compute",
        "what": "POST /v2.1/servers",
    }


def test_parameters_and_arguments_stay_on_the_bench_host() -> None:
    assert compact(DB)["what"] == "SELECT b"
    assert compact(CALL)["what"] == "nova.f"
    text = json.dumps([compact(one) for one in (START, DB, CALL)])
    assert "secret" not in text
    assert "gAAAA" not in text


def test_the_end_of_a_call_tells_the_class_of_its_error_only() -> None:
    stop = {
        **START,
        "name": "rpc-stop",
        "info": {"host": "h", "etype": "nova.NoValidHost", "message": "pw=secret"},
    }
    point = compact(stop)
    assert (point["kind"], point["edge"]) == ("rpc", "stop")
    assert point["error"] == "nova.NoValidHost"
    assert "secret" not in json.dumps(point)


def test_iterations_are_numbered_as_they_began() -> None:
    assert list(trace_ids(report("a", "b"))) == [(1, "a"), (2, "b")]


def test_an_iteration_without_a_trace_takes_its_number_along() -> None:
    told = report("a", "b")
    told["tasks"][0]["subtasks"][0]["workloads"][0]["data"][1]["output"] = {}
    assert list(trace_ids(told)) == [(2, "b")]


def test_each_traced_iteration_gets_a_file_of_its_points(tmp_path: Path) -> None:
    stop = {**START, "name": "wsgi-stop", "timestamp": "2026-11-21T10:00:01"}
    points = [json.dumps(stop), json.dumps(START)]  # the newest first
    store = Store({"osprofiler_opt:a": points, "osprofiler_opt:b": points})

    told = gathered(store, tmp_path / "traces", "a", "b")

    assert told == {"wanted": 2, "kept": 2, "gap": ""}
    packed = (tmp_path / "traces" / "0002-b.json.gz").read_bytes()
    kept = json.loads(gzip.decompress(packed))
    assert (kept["format"], kept["id"], kept["iteration"]) == ("enos-trace", "b", 2)
    assert [point["edge"] for point in kept["points"]] == ["start", "stop"]


def test_an_iteration_of_which_no_point_arrived_is_named(tmp_path: Path) -> None:
    store = Store({"osprofiler_opt:a": [json.dumps(START)]})
    told = gathered(store, tmp_path / "traces", "a", "b")
    assert told == {"wanted": 2, "kept": 1, "gap": "no trace point of iteration 2"}


def test_a_task_that_traced_nothing_is_a_gap(tmp_path: Path) -> None:
    assert gathered(Store({}), tmp_path)["gap"] == "Rally traced no iteration"


@pytest.mark.parametrize("breaks", ["llen", "lrange"])
def test_a_store_that_goes_away_is_named_and_the_rest_kept(
    tmp_path: Path, breaks: str
) -> None:
    told = gathered(Store({}, breaks=breaks), tmp_path, "a")
    assert told["kept"] == 0
    assert told["gap"].endswith("does not answer: Connection refused")


def test_points_that_came_home_leave_the_store_and_others_stay() -> None:
    points = [json.dumps(START)]
    store = Store({f"osprofiler_opt:{one}": points for one in ("a", "b", "another")})

    assert forget(store, report("a", "b")) == ""
    assert list(store.lists) == ["osprofiler_opt:another"]
    assert forget(store, report()) == ""


def test_a_store_that_is_gone_keeps_no_result_back() -> None:
    store = Store({"osprofiler_opt:a": []}, breaks="unlink")
    assert forget(store, report("a")).endswith("Connection refused")


def test_rally_is_told_the_key_but_not_where_the_points_are() -> None:
    profiler = Profiler(key="hmac", store="redis://default:pw@h:6379/0")
    spec = profiled({"existing@openstack": {"auth_url": "u"}}, profiler)
    assert spec == {
        "existing@openstack": {"auth_url": "u", "profiler_hmac_key": "hmac"}
    }
    assert profiled(spec, None) == spec
    assert "hmac" not in repr(profiler)
    assert "pw" not in repr(profiler)


def test_missing_traces_have_an_exit_code_of_their_own() -> None:
    good = ScenarioResult(name="good", key="1", args={}, traces=3)
    tracing.judge([good])
    bad = replace(good, name="bad", trace_gap="Rally traced no iteration")
    bad = replace(bad, iterations=(Iteration(seconds=1.0),))
    assert bad.verdict.endswith("traces are missing: Rally traced no iteration")
    with pytest.raises(TraceError, match="1 of 2 scenarios") as caught:
        tracing.judge([good, bad])
    assert caught.value.exit_code == 15
    assert caught.value.details == "bad: Rally traced no iteration"


@given(st.datetimes())
def test_times_keep_their_microseconds(when: datetime) -> None:
    us = microseconds(when.isoformat())
    assert us % 1_000_000 == when.microsecond
