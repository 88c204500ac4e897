"""Shaker for real between network namespaces: its server, agents and iperf3."""

import csv
import json
import pickle
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from enos.bench import environment, rally
from enos.bench.environment import AGENT, SHAKER, install, interpreter, packages
from enos.bench.host import Bench
from enos.bench.rally import judge, run_workload
from enos.bench.results import ScenarioResult
from enos.bench.shaker.execution import Traffic
from enos.bench.shaker.setting import Guests, Setting
from enos.bench.workload import Workload, load_workload
from enos.config.constraints import ConstraintSpec, NetworkConstraints
from enos.errors import BenchmarkError, CapabilityError
from enos.netem import (
    apply,
    measure,
    pairs_to_measure,
    plan_emulation,
    probe_backend,
    reset,
)
from enos.testing import RecordingProgress
from enos.testing.namespaces import NamespaceTestbed
from enos.units import Duration, Rate

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(300),
]
SCENARIO = """
title: between namespaces
execution:
  tests:
    - {title: Ping, class: flent, method: ping, time: 1}
    - {title: TCP, class: iperf3, time: 2}
    - {title: UDP, class: iperf3, udp: true, bandwidth: 18M, time: 2}
    - {title: Words, class: shell, script: "echo ${HOME}"}
"""


HERE = """
execution:
  tests:
    - {title: Ping, class: flent, method: ping, host: 127.0.0.1, time: 1}
"""
ASKED = ConstraintSpec(
    src="grp1", dst="grp2", delay=Duration(ms=20), rate=Rate.parse("20mbit"),
    symmetric=True,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where scenarios are played."""

    net: NamespaceTestbed
    bench: Bench
    begun: list[str]
    traffic: Callable[[], Traffic]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Two nodes in namespaces; both tools are in place, the first is the bench host."""
    folder = PurePosixPath(tmp_path_factory.mktemp("nodes"))
    cache = tmp_path_factory.mktemp("cache")
    with (
        pytest.MonkeyPatch.context() as patch,
        NamespaceTestbed(groups=("grp1", "grp2"), prefix="enos-shaker") as net,
    ):
        patch.setattr(environment, "PLACE", folder)
        patch.setattr(rally, "PLACE", folder)
        host = net.testbed.hosts[0]
        shell, progress = net.shell, RecordingProgress()
        for tool in (SHAKER, AGENT):
            wanted = interpreter(shell, host, tool=tool)
            made = packages(wanted, cache, shell.here, progress, tool=tool)
            install(made, shell, host, progress)
        begun: list[str] = []
        bench = Bench(
            host=host, cache=cache, shell=shell, progress=progress, began=begun.append
        )
        setting = Setting(testbed=net.testbed, spec={}, guests=no_guests)
        yield Place(
            net=net,
            bench=bench,
            begun=begun,
            traffic=lambda: Traffic(bench=bench, setting=setting),
        )


def no_guests() -> Guests:
    raise CapabilityError("Heat is not deployed", hint="set `enable_heat: true`")


@pytest.fixture
def shaped(place: Place) -> Iterator[float]:
    """20 ms and 20 Mbit/s between the nodes, each way; yields the round trip before."""
    net, progress = place.net, RecordingProgress()
    choice = probe_backend(net.testbed, net.shell, progress)
    plan = plan_emulation(NetworkConstraints(constraints=(ASKED,)), net.testbed)
    pairs = pairs_to_measure(plan, net.testbed)
    before = measure(pairs, net.testbed, net.shell, progress, rates=False)
    apply(plan, net.testbed, net.shell, progress, backend=choice.backend)
    yield before.pairs[0].trips.median or 0.0
    reset(net.testbed, net.shell, progress)


def workload(folder: Path, text: str) -> Workload:
    (folder / "mine.yml").write_text(SCENARIO)
    (folder / "here.yml").write_text(HERE)
    (folder / "run.yml").write_text(text)
    return load_workload(folder / "run.yml")


def processes(words: str) -> tuple[str, ...]:
    """Return those of this module with these words: command lines and their folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            line += f" in {entry.with_name('cwd').readlink()}"
        except OSError:
            continue
        if words in line and str(environment.PLACE) in line:
            found.append(line)
    return tuple(found)


def as_asked(link: ScenarioResult, before: float) -> None:
    """See that the figures are those of `ASKED`, over a round trip of so many ms."""
    found = {(one.test, one.metric): one for one in link.measures}
    rtt = found["Ping", "rtt"]
    assert rtt.place == "node-1 to node-2"
    assert statistics.median(rtt.values) == pytest.approx(40 + before, abs=3)
    assert found["Ping", "loss"].mean == 0
    assert 5 < (found["TCP", "throughput"].mean or 0) < 20
    assert min(found["TCP", "tcp_rtt"].values) > 35
    assert (found["UDP", "sent"].mean or 0) == pytest.approx(18, rel=0.05)
    assert (found["UDP", "loss"].mean or 0) < 5, "of 90 % of the rate most arrives"
    units = (found["UDP", "jitter"].unit, found["Words", "duration"].unit)
    assert units == ("ms", "s")


def test_agents_measure_what_was_shaped_and_leave_nothing(
    tmp_path: Path, place: Place, shaped: float
) -> None:
    load = workload(
        tmp_path,
        "shaker:\n  scenarios:\n"
        "    - {file: mine.yml, name: link, between: [grp1, grp2], network: api}\n"
        "    - {file: openstack/perf_l2}\n"
        "    - {file: here.yml}\n",
    )
    results = tmp_path / "results"

    link, guests, here = run_workload(
        load, place.bench, spec={}, results=results, traffic=place.traffic()
    )

    assert link.ok, link.verdict
    assert place.begun[-2:] == ["link", "here"]
    as_asked(link, before=shaped)
    assert not guests.ok
    assert "set `enable_heat: true`" in guests.error
    assert here.ok, here.verdict
    assert here.measures[0].metric == "rtt"
    with pytest.raises(BenchmarkError, match="1 of 3 scenarios failed"):
        judge((link, guests, here))
    rows = list(csv.DictReader((results / "results.csv").read_text().splitlines()))
    assert {"link: Ping, node-1 to node-2"} <= {row["scenario"] for row in rows}
    summary = json.loads((results / "results.json").read_text())
    assert [one["ok"] for one in summary] == [True, False, True]
    kept = {path.name for path in (results / "01-link").iterdir()}
    assert {"shaker.json", "report.html", "shaker.log", "agent-node-2.log"} <= kept
    assert "://" not in (results / "01-link" / "report.html").read_text()
    assert processes("shaker.agent.agent") == ()
    assert processes("iperf3 -s -p 5201") == ()


def test_a_program_that_is_missing_is_a_gap_before_the_run(
    tmp_path: Path, place: Place
) -> None:
    (tmp_path / "odd.yml").write_text(
        "execution:\n  tests:\n    - {title: Old, class: netperf, time: 1}\n"
    )
    load = workload(
        tmp_path, "shaker: {file: odd.yml, between: [grp1, grp2], network: api}\n"
    )

    (only,) = run_workload(
        load, place.bench, spec={}, results=tmp_path / "r", traffic=place.traffic()
    )

    assert "netperf missing on node-1" in only.error
    assert not only.ok


KILLED = """
import pickle, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as nohup has it
from enos.bench import environment, rally
from enos.bench.host import Bench
from enos.bench.shaker.execution import Traffic
from enos.bench.shaker.setting import Setting
from enos.bench.workload import load_workload
from enos.testing import RecordingProgress
shell, testbed, cache, place, file, results = pickle.loads(sys.stdin.buffer.read())
environment.PLACE = rally.PLACE = place
bench = Bench(
    host=testbed.hosts[0], cache=cache, shell=shell, progress=RecordingProgress()
)
traffic = Traffic(bench=bench, setting=Setting(testbed=testbed, spec={}, guests=None))
load = load_workload(file)
rally.run_workload(load, bench, spec={}, results=results, traffic=traffic)
"""


def test_agents_end_when_enos_is_killed_and_the_run_goes_on(
    tmp_path: Path, place: Place
) -> None:
    load = workload(
        tmp_path,
        "shaker: {file: mine.yml, between: [grp1, grp2], network: api,"
        " args: {time: 20}}\n",
    )
    results, bench = tmp_path / "results", place.bench
    net = (bench.shell, place.net.testbed, bench.cache, environment.PLACE)
    runs = f"{environment.PLACE}/shaker-runs"
    program = (sys.executable, "-c", KILLED)
    with subprocess.Popen(program, stdin=subprocess.PIPE) as enos:
        assert enos.stdin
        enos.stdin.write(pickle.dumps((*net, load.path, results)))
        enos.stdin.close()
        until(lambda: len(processes("shaker.agent.agent")) == 2)
        until(lambda: '"testing"' in log(results))
        assert processes("iperf3 -s -p 5201")
        assert processes(runs)
        enos.kill()

    until(lambda: not processes("shaker.agent.agent"))
    until(lambda: not processes("iperf3 -s -p 5201"))
    until(lambda: not processes(runs))
    assert not (results / "01-mine" / "outcome.json").exists()
    (tmp_path / "short.yml").write_text(
        "execution: {tests: [{title: Ping, class: flent, method: ping, time: 1}]}\n"
    )
    short = workload(tmp_path, "shaker: {file: short.yml, between: [grp2, grp1]}\n")
    (again,) = run_workload(
        short, place.bench, spec={}, results=results, traffic=place.traffic()
    )
    assert again.ok, again.verdict


def log(results: Path) -> str:
    files = tuple(results.glob("*/shaker.log"))
    return files[0].read_text() if files else ""


def until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.1)
