"""Ansible's events, what is said while they come, and what a failure becomes."""

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enos.ansible.events import Event, failures, parse
from enos.ansible.lanes import Lane, run_lanes
from enos.ansible.runner import Run, run
from enos.errors import PlaybookError
from enos.process import Completed
from enos.testing.recording import RecordingProgress, RecordingShell


def line(event: str, **values: object) -> str:
    return json.dumps({"event": event, **values})


TASK = "nova : Running Nova bootstrap container"
FAILED = "\n".join(
    (
        line("play", name="Apply role nova"),
        line("task", task=TASK),
        line("start", host="control-1", task=TASK),
        line("ok", host="control-1", task=TASK, seconds=1.5, at=2.0),
        line("failed", host="compute-1", task=TASK, message="no space left"),
        line("unreachable", host="compute-2", task=TASK, message="timed out"),
    )
)


def one(log: Path, *argv: str) -> Run:
    return Run(title="nova", argv=argv or ("ansible-playbook",), log=log)


def test_the_step_says_which_task_runs_on_which_host(tmp_path: Path) -> None:
    shell, progress = RecordingShell(), RecordingProgress()
    shell.on("ansible-playbook*", stdout=line("start", host="compute-1", task=TASK))
    with progress.step("nova") as step:
        run(one(tmp_path / "log"), shell=shell, step=step)
    assert f"{TASK} on compute-1" in str(progress.steps)


def test_a_failure_names_the_task_and_every_host_it_failed_on(tmp_path: Path) -> None:
    shell, progress = RecordingShell(), RecordingProgress()
    shell.on("ansible-playbook*", stdout=FAILED, returncode=2)
    with (
        pytest.raises(PlaybookError) as caught,
        progress.step("nova") as step,
    ):
        run(one(tmp_path / "nova.log"), shell=shell, step=step)
    assert caught.value.message == (
        f"nova: `{TASK}` failed on `compute-1`, `compute-2`"
    )
    assert "compute-1: nova" in caught.value.details
    assert "no space left" in caught.value.details
    assert "timed out" in caught.value.details
    assert "nova.log" in caught.value.hint


def test_a_run_that_ends_badly_without_a_failed_task_shows_its_output(
    tmp_path: Path,
) -> None:
    shell, progress = RecordingShell(), RecordingProgress()
    shell.on("ansible-playbook*", stdout="ERROR! no such playbook", returncode=1)
    with (
        pytest.raises(PlaybookError, match="status 1") as caught,
        progress.step("nova") as step,
    ):
        run(one(tmp_path / "log"), shell=shell, step=step)
    assert "no such playbook" in caught.value.details


def test_only_the_first_failure_of_a_host_counts() -> None:
    events = [
        Event(kind="failed", host="a", task="one"),
        Event(kind="failed", host="a", task="two"),
        Event(kind="ignored", host="b", task="one"),
    ]
    assert [(event.host, event.task) for event in failures(events)] == [("a", "one")]


@given(st.text())
def test_any_other_line_is_no_event(text: str) -> None:
    assert parse(text) is None


def test_a_cut_line_is_no_event() -> None:
    assert parse('{"event": "ok", "host": "con') is None


def lanes(log: Path, needs: Mapping[str, tuple[str, ...]]) -> tuple[Lane, ...]:
    return tuple(
        Lane(name=name, run=Run(title=name, argv=(name,), log=log / name), after=after)
        for name, after in needs.items()
    )


class MeetingShell(RecordingShell):
    """Two commands must be under way at the same time to end."""

    def __init__(self, *, meet: frozenset[str]) -> None:
        super().__init__()
        self.meet = meet
        self.barrier = threading.Barrier(len(meet), timeout=20)

    def stream(
        self,
        argv: object,
        *,
        log: Path,
        on_line: Callable[[str], None] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        check: bool = True,
    ) -> Completed:
        words = tuple(map(str, argv))  # type: ignore[call-overload]
        if words[0] in self.meet:
            self.barrier.wait()
        return super().stream(
            words, log=log, on_line=on_line, env=env, cwd=cwd, check=check
        )


def test_lanes_that_need_nothing_of_each_other_run_at_once(tmp_path: Path) -> None:
    shell = MeetingShell(meet=frozenset({"glance", "nova"}))
    needs = {"keystone": (), "glance": ("keystone",), "nova": ("keystone",)}
    done = run_lanes(lanes(tmp_path, needs), shell=shell, progress=RecordingProgress())
    assert set(done) == set(needs)
    assert shell.argvs[0] == ("keystone",)


def test_a_lane_is_not_begun_when_one_it_needs_failed(tmp_path: Path) -> None:
    shell = RecordingShell()
    shell.on("keystone*", stdout=FAILED, returncode=2)
    with pytest.raises(PlaybookError):
        run_lanes(
            lanes(tmp_path, {"keystone": (), "nova": ("keystone",)}),
            shell=shell,
            progress=RecordingProgress(),
        )
    assert shell.argvs == [("keystone",)]


def test_lanes_that_wait_for_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wait for each other: a, b"):
        run_lanes(
            lanes(tmp_path, {"a": ("b",), "b": ("a",)}),
            shell=RecordingShell(),
            progress=RecordingProgress(),
        )
