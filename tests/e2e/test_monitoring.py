"""A run measured on a real cloud, with its agents and its database taken away.

Asked for by name, for an experiment with `enable_monitoring: true` whose OpenStack
runs: `ENOS_EXPERIMENT=enos-demo make monitoring`. What is stopped is started again.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from enos.metrics.plan import AGENT, DATABASE, database_host
from enos.state.directory import Directory

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        "ENOS_EXPERIMENT" not in os.environ,
        reason="ENOS_EXPERIMENT names no experiment to measure",
    ),
]
ROOT = Path(__file__).parents[2]
ENOS = ROOT / ".venv" / "bin" / "enos"
WORKLOAD = """\
rally:
  scenarios:
    - name: authenticate
      file: {rally}/keystone-authenticate.yml
      args: {{times: 4, concurrency: 2}}
"""


@pytest.fixture
def experiment() -> Directory:
    return Directory(Path(os.environ["ENOS_EXPERIMENT"]).resolve())


@pytest.fixture
def workload(tmp_path: Path) -> Path:
    file = tmp_path / "measured" / "run.yml"
    file.parent.mkdir()
    file.write_text(WORKLOAD.format(rally=ROOT / "workloads" / "rally"))
    return file


def enos(experiment: Directory, *words: str) -> "subprocess.CompletedProcess[str]":
    argv = (str(ENOS), "--env", str(experiment.path), *words)
    return subprocess.run(argv, check=False, cwd=ROOT, capture_output=True, text=True)


def bench(experiment: Directory, workload: Path) -> tuple[int, dict[str, Any]]:
    done = enos(experiment, "bench", "--no-events", f"--workload={workload}", "--json")
    folder = Path(json.loads(done.stdout)["folder"])
    return done.returncode, json.loads((folder / "metrics.json").read_text())


def series(
    experiment: Directory, measure: str, span: dict[str, Any]
) -> list[dict[str, Any]]:
    between = ("--from", str(span["begin"]), "--to", str(span["end"]))
    done = enos(experiment, "metrics", "query", "--json", "-m", measure, *between)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def longest(one: dict[str, Any], span: dict[str, Any]) -> float:
    moments = [when for when, _ in one["points"]]
    return max(b - a for a, b in pairwise((span["begin"], *moments, span["end"])))


@contextmanager
def without(experiment: Directory, host: str, unit: str) -> Iterator[None]:
    assert enos(experiment, "ssh", host, "systemctl", "stop", unit).returncode == 0
    try:
        yield
    finally:
        enos(experiment, "ssh", host, "systemctl", "start", unit)


def test_every_machine_container_and_service_is_measured_all_along(
    experiment: Directory, workload: Path
) -> None:
    code, span = bench(experiment, workload)

    assert (code, span["ok"]) == (0, True)
    most = 3 * span["interval"]
    containers = series(experiment, "container_cpu", span)
    machines = series(experiment, "cpu", span)
    assert {one["host"] for one in machines} == set(span["hosts"])
    assert {"keystone", "mariadb", "nova_compute"} <= {
        one["instance"] for one in containers
    }
    assert [one for one in machines + containers if longest(one, span) > most] == []
    services = series(experiment, "service_up", span)
    assert {one["instance"] for one in services} >= {"mariadb", "rabbitmq"}
    assert {value for one in services for _, value in one["points"]} == {1.0}
    published = series(experiment, "rabbitmq_published", span)
    assert sum(value for one in published for _, value in one["points"]) > 0


def test_an_agent_that_is_down_is_named_and_the_run_ends(
    experiment: Directory, workload: Path
) -> None:
    bed = experiment.load().testbed
    assert bed is not None
    host = bed.hosts[-1].name

    with without(experiment, host, AGENT):
        code, span = bench(experiment, workload)

    assert code == 14
    assert [gap["host"] for gap in span["gaps"]] == [host]


def test_a_database_that_is_down_is_named_and_leaves_no_gap_once_it_is_back(
    experiment: Directory, workload: Path
) -> None:
    bed = experiment.load().testbed
    assert bed is not None

    with without(experiment, database_host(bed)[0].name, DATABASE):
        code, span = bench(experiment, workload)
    assert code == 14
    assert "does not answer" in span["problem"]

    _, later = bench(experiment, workload)
    assert later["ok"]
    machines = series(experiment, "cpu", span)
    assert {one["host"] for one in machines} == set(span["hosts"])
    assert [one for one in machines if longest(one, span) > 3 * span["interval"]] == []
