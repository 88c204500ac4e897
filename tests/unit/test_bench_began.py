"""The load of a scenario begins with its first iteration, and is told once."""

import json

from enos.bench.watch import Watch
from enos.testbed import Host
from enos.testing import RecordingProgress

HOST = Host(name="control-1", address="192.0.2.2")
NAMES = {"a": "boot", "b": "list"}


def event(name: str, key: str = "") -> str:
    return json.dumps({"event": name, "key": key})


def line(number: int, what: str) -> str:
    head = "2026-11-21 16:42:25.735 9885 INFO rally.task.runner [-] Task 3c3df62f"
    return f"{head} | ITER: {number} {what}"


def test_the_load_begins_with_the_first_iteration_of_each_scenario() -> None:
    began: list[str] = []
    with Watch(NAMES, HOST, RecordingProgress(), began.append) as watch:
        watch.line(event("started", "a"))
        assert began == []
        watch.line("rally.task.context  users@openstack set up")
        watch.line(line(1, "START"))
        watch.line(line(2, "START"))
        watch.line(line(1, "END: OK"))
        assert began == ["boot"]
        watch.line(event("started", "b"))
        watch.line(line(1, "START"))

    assert began == ["boot", "list"]


def test_a_line_garbled_by_another_program_ends_nothing() -> None:
    progress = RecordingProgress()
    with Watch(NAMES, HOST, progress) as watch:
        watch.line(event("started", "a"))
        watch.line('{"event": "aliWARNING: connection is slow')
        watch.line(line(1, "END: OK"))
        watch.line(event("ended"))

    assert watch.ended
    assert progress.steps[-1].awaited == ["1 iterations passed"]


def test_iterations_are_counted_when_they_end() -> None:
    progress = RecordingProgress()
    with Watch(NAMES, HOST, progress) as watch:
        watch.line(event("started", "a"))
        watch.line(line(1, "START"))
        watch.line(line(1, "END: OK"))
        watch.line(line(2, "END: Error"))

    assert progress.steps[-1].awaited[-1] == "1 iterations passed, 1 failed"
