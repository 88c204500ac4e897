import csv
import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from enos.bench.results import COLUMNS, ScenarioResult, as_csv, parsed, rows, summary


def iteration(
    duration: float, *, error: list[str] | None = None, at: float = 1.0
) -> dict[str, Any]:
    return {
        "timestamp": at,
        "duration": duration,
        "idle_duration": 0.0,
        "error": error or [],
        "atomic_actions": [
            {"name": "nova.boot_server", "started_at": at, "finished_at": at + 2.0},
            {"name": "nova.get", "started_at": at + 2, "finished_at": at + 2.5},
            {"name": "nova.get", "started_at": at + 3, "finished_at": at + 3.25},
        ],
    }


def report(
    data: list[dict[str, Any]], *, sla: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    workload = {
        "scenario": {"NovaServers.boot_and_delete_server": {"image": {}}},
        "data": data,
        "sla_results": {"sla": sla or []},
    }
    return {"tasks": [{"subtasks": [{"workloads": [workload]}]}]}


def result(plain: dict[str, Any]) -> ScenarioResult:
    return parsed(plain, name="boot", key="k", args={"times": 2}, seconds=9.5)


def test_a_scenario_that_passed_has_durations_and_actions() -> None:
    found = result(report([iteration(4.0, at=8), iteration(2.0, at=5)]))

    assert found.ok
    assert found.plugin == "NovaServers.boot_and_delete_server"
    assert [one.seconds for one in found.iterations] == [2.0, 4.0]
    assert found.iterations[0].actions == {"nova.boot_server": 2.0, "nova.get": 0.75}
    assert found.verdict == "2 of 2 iterations passed, mean 3.0 s"


def test_a_failed_iteration_fails_the_scenario_and_is_left_out_of_the_mean() -> None:
    error = ["GetResourceErrorStatus", "Server is in ERROR", "Traceback…"]
    found = result(report([iteration(4.0), iteration(90.0, error=error, at=2)]))

    assert not found.ok
    assert found.failed == 1
    assert found.mean == 4.0
    assert found.verdict == (
        "1 of 2 iterations passed, mean 4.0 s, "
        "GetResourceErrorStatus: Server is in ERROR"
    )


def test_a_missed_sla_fails_a_scenario_whose_iterations_passed() -> None:
    sla = [
        {"criterion": "failure_rate", "success": True, "detail": "0%"},
        {"criterion": "max_avg_duration", "success": False, "detail": "4 > 3"},
    ]
    found = result(report([iteration(4.0)], sla=sla))

    assert not found.ok
    assert found.verdict.endswith("SLA missed: max_avg_duration")


def test_a_task_that_never_ran_is_not_ok() -> None:
    empty = result({"tasks": []})
    refused = ScenarioResult(name="a", key="k", args={}, error="Invalid: no\nmore")

    assert not empty.ok
    assert empty.verdict == "ran no iteration"
    assert not refused.ok
    assert refused.verdict == "did not run: Invalid: no"


def test_the_verdict_on_an_invalid_task_gives_the_reason() -> None:
    error = (
        "InvalidTaskConfig: Input task is invalid!\n\nSubtask configuration:\n{}\n\n"
        "Reason(s):\n Scenario plugin 'x' doesn't pass validation. Details: no image"
    )
    found = ScenarioResult(name="a", key="k", args={}, error=error)

    assert found.verdict == (
        "did not run: Scenario plugin 'x' doesn't pass validation. Details: no image"
    )


def test_rows_are_tidy_and_readable_as_csv() -> None:
    found = result(report([iteration(4.0), iteration(1.0, error=["E", "x"], at=2)]))

    listed = list(csv.DictReader(io.StringIO(as_csv([found]))))

    assert tuple(listed[0]) == COLUMNS
    assert len(listed) == 6
    assert listed[0] == {
        "scenario": "boot",
        "iteration": "1",
        "metric": "duration",
        "value": "4.0",
        "unit": "s",
        "ok": "1",
    }
    assert {row["ok"] for row in listed[3:]} == {"0"}


def test_the_summary_holds_verdicts_and_durations() -> None:
    (one,) = summary([result(report([iteration(4.0)]))])

    assert one["ok"] is True
    assert one["durations"] == [4.0]
    assert one["args"] == {"times": 2}
    assert one["seconds"] == 9.5


@given(st.lists(st.floats(0, 1000), max_size=20))
def test_there_is_a_row_for_each_value(durations: list[float]) -> None:
    data = [iteration(one, at=float(at)) for at, one in enumerate(durations)]

    assert len(list(rows([result(report(data))]))) == 3 * len(durations)


def test_the_summary_tells_when_each_iteration_ran_idle_time_included() -> None:
    failed = iteration(1.0, error=["E", "x"], at=1000.25) | {"idle_duration": 0.5}

    (one,) = summary([result(report([iteration(4.0, at=999.0), failed]))])

    assert one["spans"] == [[999.0, 1003.0, True], [1000.25, 1001.75, False]]
