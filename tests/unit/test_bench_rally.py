import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from enos.bench.environment import Interpreter, Packages, install, interpreter
from enos.bench.host import Bench, bench_host
from enos.bench.rally import env_spec, judge, run_workload
from enos.bench.results import Iteration, ScenarioResult
from enos.bench.runfolder import CUT, DONE, folders, run_folder
from enos.bench.shaker.scenario import ShakerRun
from enos.bench.watch import Watch
from enos.bench.workload import Workload, load_workload
from enos.errors import BenchmarkError, CapabilityError, ConfigError, ProcessError
from enos.testbed import Host, Testbed
from enos.testing import RecordingProgress, RecordingShell

HOST = Host(name="control-1", address="192.0.2.1", roles=("control",))
SHAKER = Path(__file__).parents[1] / "golden" / "bench" / "shaker.json"
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


class Nodes:
    """Plays Shaker's scenarios: one whose agents cannot be reached, others well."""

    def __init__(self) -> None:
        self.reachable = False
        self.played: list[str] = []

    def check(self, runs: Sequence[ShakerRun]) -> None:
        pass

    def play(self, run: ShakerRun, place: Path) -> None:
        self.played.append(run.name)
        if run.name == "perf_l2" and not self.reachable:
            said = "ssh: connect to host 192.0.2.1 port 22: No route to host"
            raise ProcessError("`ssh` failed with status 255", details=said)
        place.mkdir(exist_ok=True)
        (place / "shaker.json").write_text(SHAKER.read_text())
        (place / "outcome.json").write_text('{"error": "", "seconds": 20}')


def test_what_fails_for_one_scenario_neither_stops_the_others_nor_costs_the_table(
    tmp_path: Path,
) -> None:
    (tmp_path / "task.yml").write_text("Dummy.dummy: {}\n")
    (tmp_path / "run.yml").write_text(
        "rally: {scenarios: [{file: task.yml}]}\n"
        "shaker: {scenarios: [{file: openstack/perf_l2}, {file: openstack/udp_l2}]}\n"
    )
    load, nodes = load_workload(tmp_path / "run.yml"), Nodes()
    root = tmp_path / "results"
    results = run_folder(root, load, NOW)
    unfit = bench(tmp_path)
    assert isinstance(unfit.shell, RecordingShell)
    unfit.shell.on("ssh *", stdout="3 8 x86_64")

    with pytest.raises(CapabilityError, match="Rally needs 3"):
        run_workload(load, unfit, spec={}, results=results, traffic=nodes)

    told = {one["name"]: one for one in json.loads((results / DONE).read_text())}
    assert "Rally needs 3.10" in told["task"]["verdict"]
    assert told["perf_l2"]["verdict"].endswith("No route to host")
    assert told["udp_l2"]["ok"]
    assert "udp_l2: TCP" in (results / "results.csv").read_text()
    assert isinstance(unfit.progress, RecordingProgress)
    assert "No route to host" in unfit.progress.warnings[-1]
    assert (results / CUT).read_text().count("\n") == 2


def test_a_run_whose_failures_were_kept_is_gone_on_with(tmp_path: Path) -> None:
    text = "shaker: {scenarios: [{file: openstack/perf_l2}, {file: openstack/udp_l2}]}"
    (tmp_path / "run.yml").write_text(text)
    load, nodes = load_workload(tmp_path / "run.yml"), Nodes()
    root, later = tmp_path / "results", datetime(2027, 1, 1, tzinfo=UTC)
    results = run_folder(root, load, NOW)
    with pytest.raises(ProcessError, match="255"):
        run_workload(load, bench(tmp_path), spec={}, results=results, traffic=nodes)
    nodes.reachable = True

    assert run_folder(root, load, later) == results
    found = run_workload(load, bench(tmp_path), spec={}, results=results, traffic=nodes)

    assert all(one.ok for one in found)
    assert nodes.played == ["perf_l2", "udp_l2", "perf_l2"]
    assert run_folder(root, load, later) != results


def test_an_archive_that_is_cut_short_on_its_way_home_is_told(tmp_path: Path) -> None:
    host = bench(tmp_path)
    assert isinstance(host.shell, RecordingShell)
    host.shell.on("ssh *tar*", stdout="nothing of the kind")
    with pytest.raises(BenchmarkError, match="`control-1` sent home is no whole"):
        host.fetch(("tar", "-cf", "-", "."), tmp_path)

    host.shell.on("ssh *tar*", returncode=255, stderr="Connection reset by peer")
    with pytest.raises(ProcessError) as told:
        host.fetch(("tar", "-cf", "-", "."), tmp_path)
    assert "reset by peer" in told.value.details


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


def test_an_archive_that_cannot_be_unpacked_leaves_no_copy_on_the_host(
    tmp_path: Path,
) -> None:
    shell = RecordingShell()
    shell.on("ssh *test -e *", returncode=1)
    shell.on("ssh *tar *", returncode=2, stderr="tar: No space left on device")
    made = Packages(
        archive=tmp_path / "rally-0123.tar.gz",
        key="0123",
        interpreter=Interpreter(version=(3, 13), machine="x86_64"),
    )

    with pytest.raises(ProcessError) as told:
        install(made, shell, HOST, RecordingProgress())

    assert "No space left" in told.value.details
    (copied,) = (line for line in shell.lines if line.startswith("scp"))
    assert shell.lines[-1].endswith(f"rm -f {copied.rpartition(':')[2]}'")


def test_the_environment_lies_where_its_python_and_lock_say(tmp_path: Path) -> None:
    made = Packages(
        archive=tmp_path / "a.tar.gz",
        key="0123",
        interpreter=Interpreter(version=(3, 13), machine="x86_64"),
    )

    assert str(made.python) == "/var/lib/enos/rally-0123/bin/python"
    assert made.interpreter.dotted == "3.13"
