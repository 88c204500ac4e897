"""Traffic between nodes and between guests, on an OpenStack with Heat.

Asked for by name, for an experiment whose OpenStack runs, with Heat and with two
computes: `ENOS_EXPERIMENT=enos-demo make traffic`.
"""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from enos.cloud.rest import connect
from enos.state.directory import Directory

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        "ENOS_EXPERIMENT" not in os.environ,
        reason="ENOS_EXPERIMENT names no experiment to load",
    ),
]
ROOT = Path(__file__).parents[2]
ENOS = ROOT / ".venv" / "bin" / "enos"
UNMEASURED = 14


@pytest.fixture
def experiment() -> Directory:
    return Directory(Path(os.environ["ENOS_EXPERIMENT"]).resolve())


def bench(experiment: Directory, workload: Path, *options: str) -> tuple[int, Path]:
    """Return the exit code of a benchmark, and where its results are."""
    at = str(experiment.path)
    argv = (str(ENOS), "--env", at, "bench", f"--workload={workload}", *options)
    done = subprocess.run(argv, check=False)
    return done.returncode, max(experiment.results.glob(f"bench-*-{workload.name}"))


def measured(experiment: Directory, workload: Path) -> dict[str, Any]:
    """Return the result of the only scenario of a workload."""
    code, folder = bench(experiment, workload)
    assert code == 0
    (only,) = json.loads((folder / "results.json").read_text())
    return dict(only)


def workload(folder: Path, name: str, scenario: str, tool: str = "shaker") -> Path:
    (folder / name).mkdir()
    (folder / name / "run.yml").write_text(f"{tool}:\n  scenarios:\n    - {scenario}\n")
    return folder / name


def test_nodes_measure_between_each_other(
    experiment: Directory, tmp_path: Path
) -> None:
    text = "{file: tcp-udp.yml, between: [control, compute], args: {time: 3}}"

    told = measured(experiment, workload(tmp_path, "nodes", text))

    assert told["ok"], told["verdict"]
    found = {(one["test"], one["metric"]): one for one in told["measures"]}
    assert found["Ping", "loss"]["mean"] == 0
    assert found["UDP", "throughput"]["mean"] == pytest.approx(10, rel=0.1)


def test_two_guests_on_two_computes_exchange_traffic_and_are_removed(
    experiment: Directory, tmp_path: Path
) -> None:
    text = "{file: guests-l2.yml, args: {time: 5}}"

    told = measured(experiment, workload(tmp_path, "guests", text))

    assert told["ok"], told["verdict"]
    found = {(one["test"], one["metric"]): one for one in told["measures"]}
    source, _, sink = found["Ping", "rtt"]["place"].partition(" to ")
    assert source != sink
    assert found["TCP", "throughput"]["mean"] > 1
    assert found["UDP", "throughput"]["mean"] == pytest.approx(1, rel=0.2)
    cloud = connect(experiment.kolla / "clouds.yaml")
    servers = cloud.get("compute", "/servers/detail?all_tenants=1")["servers"]
    assert not [one["name"] for one in servers if one["name"].startswith("shaker_")]


def test_guests_reach_each_other_after_a_machine_was_away(
    experiment: Directory, tmp_path: Path
) -> None:
    cloud = connect(experiment.kolla / "clouds.yaml")
    computes = cloud.get("compute", "/os-hypervisors")["hypervisors"]
    machine = max(one["hypervisor_hostname"] for one in computes)
    events = tmp_path / "events.yml"
    events.write_text(f"events: ['at 2s: stop {machine}', 'at 10s: start {machine}']\n")
    text = "{file: keystone-authenticate.yml, args: {times: 60, concurrency: 1}}"
    reboot = workload(tmp_path, "reboot", text, tool="rally")

    code, folder = bench(experiment, reboot, f"--events={events}")

    assert code in (0, UNMEASURED), "monitoring names the gap of the machine"
    happened = json.loads((folder / "events.json").read_text())
    assert [one["ok"] for one in happened] == [True] * 3
    until_complete(experiment)
    again = workload(tmp_path, "again", "{file: guests-l2.yml, args: {time: 5}}")
    told = measured(experiment, again)
    assert told["ok"], told["verdict"]


def until_complete(experiment: Directory) -> None:
    """Wait until Nova and Neutron know all their services alive."""
    cloud = connect(experiment.kolla / "clouds.yaml")
    late = time.monotonic() + 240
    while True:
        services = cloud.get("compute", "/os-services")["services"]
        agents = cloud.get("network", "/agents")["agents"]
        down = [one["host"] for one in services if one["state"] != "up"]
        down += [one["host"] for one in agents if not one["alive"]]
        if not down:
            return
        assert time.monotonic() < late, down
        time.sleep(3)
