import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from enos.bench.environment import Interpreter, Packages, interpreter
from enos.bench.host import Bench, bench_host
from enos.bench.rally import (
    env_spec,
    folders,
    judge,
    run_folder,
    run_workload,
)
from enos.bench.results import Iteration, ScenarioResult
from enos.bench.watch import Watch
from enos.bench.workload import Workload, load_workload
from enos.errors import BenchmarkError, CapabilityError, ConfigError
from enos.testbed import Host, Testbed
from enos.testing import RecordingProgress, RecordingShell

HOST = Host(name="control-1", address="192.0.2.1", roles=("control",))
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CLOUDS = """
clouds:
  admin:
    auth:
      auth_url: http://172.30.0.2:5000/v3
      username: admin
      password: secret
      project_name: admin
      user_domain_name: Default
    region_name: RegionOne
    interface: internal
"""


@pytest.fixture
def load(tmp_path: Path) -> Workload:
    (tmp_path / "task.yml").write_text("Dummy.dummy: {times: {{ times }}}\n")
    text = "rally:\n  args: {times: [1, 2]}\n  scenarios:\n    - {file: task.yml}\n"
    (tmp_path / "run.yml").write_text(text)
    return load_workload(tmp_path / "run.yml")


def bench(tmp_path: Path) -> Bench:
    return Bench(
        host=HOST,
        cache=tmp_path,
        shell=RecordingShell(strict=True),
        progress=RecordingProgress(),
    )


def test_benchmarks_run_on_the_role_bench_else_on_control() -> None:
    other = Host(name="bench-1", address="192.0.2.2", roles=("bench",))

    def among(*hosts: Host) -> Testbed:
        return Testbed(provider="fake", hosts=hosts, networks=())

    assert bench_host(among(HOST, other)) == other
    assert bench_host(among(HOST)) == HOST
    with pytest.raises(ConfigError, match="plays `bench` or `control`"):
        bench_host(among())


def test_the_specification_for_rally_comes_from_clouds_yaml() -> None:
    admin = {
        "username": "admin",
        "password": "secret",
        "project_name": "admin",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    assert env_spec(CLOUDS) == {
        "existing@openstack": {
            "auth_url": "http://172.30.0.2:5000/v3",
            "region_name": "RegionOne",
            "endpoint_type": "internal",
            "admin": admin,
            "users": [admin],
        }
    }


def test_certificates_are_checked_unless_the_file_says_otherwise() -> None:
    text = CLOUDS + "    cacert: /home/me/ca.pem\n"
    checked = env_spec(text, "admin")["existing@openstack"]
    unchecked = env_spec(text + "    verify: false\n", "admin")["existing@openstack"]

    assert checked["https_cacert"] == "/home/me/ca.pem"
    assert "https_insecure" not in checked
    assert unchecked["https_insecure"] is True
    assert "https_cacert" not in unchecked


def test_a_run_that_was_cut_short_is_gone_on_with(
    tmp_path: Path, load: Workload
) -> None:
    root = tmp_path / "results"
    first = run_folder(root, load, NOW)
    assert first == root / f"bench-2026-01-02T03-04-05-{load.name}"
    with pytest.raises(AssertionError):  # the shell is strict: nothing is reached
        run_workload(load, bench(tmp_path), spec={}, results=first)

    later = datetime(2027, 1, 1, tzinfo=UTC)
    assert run_folder(root, load, later) == first
    (first / "results.json").write_text("[]")
    assert run_folder(root, load, later) != first


def test_under_other_conditions_it_is_another_run(
    tmp_path: Path, load: Workload
) -> None:
    root = tmp_path / "results"
    first = run_folder(root, load, NOW, under="20 ms")
    with pytest.raises(AssertionError):
        run_workload(load, bench(tmp_path), spec={}, results=first, under="20 ms")

    later = datetime(2027, 1, 1, tzinfo=UTC)
    assert run_folder(root, load, later, under="20 ms") == first
    assert run_folder(root, load, later, under="25 ms") != first
    assert run_folder(root, load, later) != first


def test_results_at_home_need_no_bench_host(tmp_path: Path, load: Workload) -> None:
    results = tmp_path / "results" / "run"
    for name in folders(load.runs).values():
        (results / name).mkdir(parents=True)
        outcome = {"error": "InvalidTaskException: no", "seconds": 1.5}
        (results / name / "outcome.json").write_text(json.dumps(outcome))

    found = run_workload(load, bench(tmp_path), spec={}, results=results)

    assert [one.verdict for one in found] == [
        "did not run: InvalidTaskException: no"
    ] * 2
    assert (results / "results.csv").exists()
    assert (results / "tasks" / "01-task-times-1.yml").read_text() == load.runs[0].task


def test_a_workload_without_scenarios_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "run.yml").write_text("rally: {scenarios: []}\n")
    load = load_workload(tmp_path / "run.yml")

    with pytest.raises(ConfigError, match="no enabled scenario"):
        run_workload(load, bench(tmp_path), spec={}, results=tmp_path / "r")


def test_the_verdict_names_each_scenario_that_failed() -> None:
    good = ScenarioResult(
        name="a", key="a", args={}, iterations=(Iteration(seconds=1),)
    )
    bad = ScenarioResult(name="b", key="b", args={}, error="TypeError: no")

    judge([good])
    with pytest.raises(BenchmarkError, match="1 of 2 scenarios failed") as caught:
        judge([good, bad])

    assert caught.value.details == "b: did not run: TypeError: no"


def test_lines_of_the_runner_become_steps() -> None:
    progress = RecordingProgress()
    with Watch({"k1": "authenticate", "k2": "boot"}, HOST, progress) as watch:
        for line in (
            '{"event": "kept", "key": "k1"}',
            '{"event": "awaiting", "what": "Rally to load its plugins"}',
            '{"event": "alive"}',
            '{"event": "started", "key": "k2"}',
            "2026-01-02 INFO rally [-] Task x | ITER: 1 END: OK",
            "2026-01-02 INFO rally [-] Task x | ITER: 2 END: Error Timeout: late",
            '{"event": "finished", "key": "k2"}',
        ):
            watch.line(line)
        assert not watch.ended
        watch.line('{"event": "ended"}')

    assert watch.ended
    assert [step.title for step in progress.steps] == ["Rally", "authenticate", "boot"]
    assert progress.steps[0].awaited == ["Rally to load its plugins"]
    assert progress.steps[2].awaited == [
        "1 iterations passed",
        "1 iterations passed, 1 failed",
    ]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("3 8 x86_64", "Python 3.8 on x86_64, Rally needs 3.10"),
        ("3 12 riscv64", "Python 3.12 on riscv64"),
        ("", "runs no Python 3"),
    ],
)
def test_a_host_that_cannot_run_rally_is_refused(answer: str, words: str) -> None:
    shell = RecordingShell()
    shell.on("ssh *", stdout=answer)

    with pytest.raises(CapabilityError, match=words):
        interpreter(shell, HOST)


def test_the_environment_lies_where_its_python_and_lock_say(tmp_path: Path) -> None:
    made = Packages(
        archive=tmp_path / "a.tar.gz",
        key="0123",
        interpreter=Interpreter(version=(3, 13), machine="x86_64"),
    )

    assert str(made.python) == "/var/lib/enos/rally-0123/bin/python"
    assert made.interpreter.dotted == "3.13"
