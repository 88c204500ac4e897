"""Rally for real on a host reached by SSH; no cloud: its scenarios are dummies."""

import gzip
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest

from enos import content
from enos.bench import environment, rally, tracing
from enos.bench.host import Bench
from enos.bench.rally import judge, run_workload
from enos.bench.runfolder import run_folder
from enos.bench.tracing import Profiler
from enos.bench.workload import Workload, load_workload
from enos.errors import BenchmarkError, EnosError, TraceError
from enos.process import LocalShell, end_leftovers
from enos.remote import run_on
from enos.testbed import Host
from enos.testing import RecordingProgress
from enos.traces.points import read
from enos.traces.tree import grown

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(400),
]
SPEC: dict[str, object] = {}  # no platform: dummies need no cloud
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TASK = """
version: 2
title: a dummy
subtasks:
  - title: dummy
    scenario:
      {{ scenario }}:
        {{ arguments | default("sleep: 0.01") }}
    runner:
      constant: {times: {{ times }}, concurrency: 1}
    sla:
      failure_rate: {max: 0}
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """This machine, through an sshd of the test's own."""
    folder = tmp_path_factory.mktemp("sshd")
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert program, "sshd is missing: `make test` installs openssh-server"
    for name in ("key", "host"):
        argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name)
        subprocess.run(argv, check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\n"
        f"AuthorizedKeysFile {folder}/key.pub\nStrictModes no\nUsePAM no\n"
        "PidFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "Subsystem sftp internal-sftp\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    found = Host(name="here", address="127.0.0.1", port=port, key=folder / "key")
    with subprocess.Popen((program, "-D", "-f", config, "-E", folder / "log")) as sshd:
        try:
            until(lambda: run_on(LocalShell(), found, ("true",), check=False).ok)
            yield found
        finally:
            sshd.terminate()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PurePosixPath]:
    """A folder for the bench host's files that is not this machine's own."""
    folder = PurePosixPath(tmp_path_factory.mktemp("bench-host"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "PLACE", folder)
        patch.setattr(rally, "PLACE", folder)
        yield folder


@pytest.fixture
def bench(host: Host, cache: Path, place: PurePosixPath) -> Bench:
    assert place
    shell = LocalShell(session="enos-bench-test")
    return Bench(host=host, cache=cache, shell=shell, progress=RecordingProgress())


def workload(folder: Path, scenarios: str) -> Workload:
    (folder / "load").mkdir()
    (folder / "load" / "dummy.yml").write_text(TASK)
    path = folder / "load" / "run.yml"
    path.write_text(f"rally:\n  scenarios:\n{scenarios}")
    return load_workload(path)


def until(there: object) -> None:
    deadline = time.monotonic() + 200
    while not there():  # type: ignore[operator] # a predicate
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.1)


def test_a_broken_scenario_leaves_the_others_their_reports(
    tmp_path: Path, bench: Bench, place: PurePosixPath
) -> None:
    load = workload(
        tmp_path,
        "    - {file: dummy.yml, name: good, args: {scenario: Dummy.dummy, times: 3}}\n"
        "    - {file: dummy.yml, name: no such, args: {scenario: No.such, times: 1}}\n"
        "    - {file: dummy.yml, name: failing, args: {scenario: Dummy.dummy_exception,"
        " times: 2, arguments: 'size_of_message: 5'}}\n",
    )
    folder = run_folder(tmp_path / "results", load, NOW)

    results = run_workload(load, bench, spec=SPEC, results=folder)

    good, unknown, failing = results
    assert good.ok
    assert len(good.iterations) == 3
    assert good.plugin == "Dummy.dummy"
    assert "No.such" in unknown.error
    assert failing.failed == 2
    assert not failing.slas[0].ok
    html = (folder / "01-good" / "report.html").read_text()
    assert "<html" in html
    assert (folder / "03-failing" / "report.html").exists()
    assert [one["ok"] for one in json.loads((folder / "results.json").read_text())] == [
        True,
        False,
        False,
    ]
    assert (folder / "results.csv").read_text().count(",duration,") == 5
    with pytest.raises(BenchmarkError, match="2 of 3 scenarios failed"):
        judge(results)
    assert not list((Path(place) / "runs").iterdir()), "nothing secret may stay behind"


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, bench: Bench) -> None:
    load = workload(
        tmp_path,
        "    - {file: dummy.yml, name: one, args: {scenario: Dummy.dummy, times: 1}}\n"
        "    - {file: dummy.yml, name: two, args: {scenario: Dummy.dummy, times: 1,"
        " arguments: 'sleep: 15'}}\n",
    )
    folder = run_folder(tmp_path / "results", load, NOW)
    log = folder / "rally.log"
    failures: list[EnosError] = []

    def first() -> None:
        try:
            run_workload(load, bench, spec=SPEC, results=folder)
        except EnosError as error:
            failures.append(error)

    running = threading.Thread(target=first)
    running.start()
    until(
        lambda: failures or (log.exists() and log.read_text().count('"started"') == 2)
    )
    assert not failures
    end_leftovers("enos-bench-test")
    running.join()
    assert failures
    cut = json.loads((folder / "results.json").read_text())[1]
    assert not cut["ok"]
    assert (folder / "cut-short").read_text().startswith(cut["error"])
    assert run_folder(tmp_path / "results", load, datetime.now(UTC)) == folder

    results = run_workload(load, bench, spec=SPEC, results=folder)

    assert [one.ok for one in results] == [True, True]
    assert not (folder / "cut-short").exists()
    started = [line for line in log.read_text().splitlines() if '"started"' in line]
    assert len(started) == 3, "the first must not run twice"


def test_every_shipped_task_is_valid_for_rally(
    tmp_path: Path, bench: Bench, place: PurePosixPath
) -> None:
    assert place
    library = content.folder("workloads") / "rally"
    tasks = {}
    for name in content.names("workloads"):
        for run in load_workload(content.find("workloads", name)).runs:
            tasks[run.file.name] = run.task
    scenarios = "\n".join(
        f"    - {{file: {file.name}}}" for file in sorted(library.glob("*.yml"))
    )
    (tmp_path / "run.yml").write_text(f"rally:\n  scenarios:\n{scenarios}\n")
    for run in load_workload(tmp_path / "run.yml").runs:
        tasks[run.file.name] = run.task
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    python = rally.prepare(bench)

    check = Path(__file__).with_name("rally_syntax.py")
    done = subprocess.run(
        [python, check, tmp_path, *library.glob("*.py")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert set(done.stdout.split()) == set(tasks)


def test_a_second_bench_host_gets_the_bytecode_of_the_first(
    tmp_path: Path, bench: Bench, cache: Path, place: PurePosixPath
) -> None:
    assert place
    rally.prepare(bench)
    (bytecode,) = (cache / "tools").glob("rally-*-bytecode.tar.gz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "PLACE", PurePosixPath(tmp_path / "second"))
        python = Path(rally.prepare(bench))

    compiled = list(python.parents[1].rglob("rally/__pycache__/api.*.pyc"))
    assert compiled
    assert bytecode.stat().st_size < 60 * 1024**2


TRACED = """
import time
from osprofiler import notifier, opts, profiler
from oslo_config import cfg
from rally.task import scenario

@scenario.configure(name="Traced.work")
class Work(scenario.Scenario):
    def run(self, store):
        opts.set_defaults(cfg.CONF)  # as every service does
        notifier.set(notifier.create(store, project="nova", service="nova-api"))
        profiler.clean()
        trace = profiler.init("key").get_base_id()
        data = {"trace_id": trace, "conn_str": None}
        chart = {"title": "x", "chart_plugin": "OSProfiler", "data": data}
        self.add_output(complete=chart)
        request = {"method": "GET", "path": "/v2.1", "query": "password=unspeakable"}
        with profiler.Trace("wsgi", info={"request": request}):
            with profiler.Trace("db", info={"db": {"statement": "SELECT 1 FROM a"}}):
                time.sleep(0.01)
"""


def traced_workload(folder: Path, store: str, *names: str) -> Workload:
    (folder / "load").mkdir()
    (folder / "load" / "dummy.yml").write_text(TASK)
    (folder / "load" / "plugin.py").write_text(TRACED)
    scenarios = {
        "traced": f"{{scenario: Traced.work, times: 2, arguments: 'store: {store}'}}",
        "dummy": "{scenario: Dummy.dummy, times: 1}",
    }
    path = folder / "load" / "run.yml"
    path.write_text(
        "rally:\n  osprofiler: true\n  scenarios:\n"
        + "".join(
            f"    - {{file: dummy.yml, name: {name}, plugin: plugin.py,"
            f" args: {scenarios[name]}}}\n"
            for name in names
        )
    )
    return load_workload(path)


def test_traces_come_home_and_those_that_do_not_are_named(
    tmp_path: Path, bench: Bench, store: SimpleNamespace
) -> None:
    load = traced_workload(tmp_path, store.address, "traced", "dummy")
    folder = run_folder(tmp_path / "results", load, NOW)
    profiler = Profiler(key="key", store=store.address)

    traced, dummy = run_workload(
        load, bench, spec=SPEC, results=folder, profiler=profiler
    )

    assert (traced.traces, traced.trace_gap) == (2, "")
    assert (dummy.ok, dummy.trace_gap) == (True, "Rally traced no iteration")
    files = sorted((folder / "01-traced" / "traces").iterdir())
    assert [file.name[:5] for file in files] == ["0001-", "0002-"]
    request, statement = grown(read(files[0])).spans.values()
    assert (request.operation, statement.operation) == ("GET /v2.1", "SELECT a")
    assert request.seconds >= statement.seconds >= 0.01
    told = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    whole = b"".join(told) + gzip.decompress(files[0].read_bytes())
    assert b"unspeakable" not in whole
    with pytest.raises(TraceError, match="1 of 2 scenarios"):
        tracing.judge((traced, dummy))


def test_a_run_without_its_store_of_traces_runs_and_says_so(
    tmp_path: Path, bench: Bench, store: SimpleNamespace
) -> None:
    store.end()
    load = traced_workload(tmp_path, store.address, "dummy")
    folder = run_folder(tmp_path / "results", load, NOW)
    profiler = Profiler(key="key", store=store.address)

    (dummy,) = run_workload(load, bench, spec=SPEC, results=folder, profiler=profiler)

    assert dummy.ok
    assert "does not answer" in dummy.trace_gap
    (kept,) = json.loads((folder / "results.json").read_text())
    assert kept["trace_gap"] == dummy.trace_gap
