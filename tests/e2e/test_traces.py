"""Traces of a real OpenStack with OSProfiler, and what happens without their store.

Asked for by name, for an experiment with `osprofiler: true` whose OpenStack runs:
`ENOS_EXPERIMENT=enos-demo make traces`.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enos.state.directory import Directory
from enos.traces.points import read
from enos.traces.tree import grown

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        "ENOS_EXPERIMENT" not in os.environ,
        reason="ENOS_EXPERIMENT names no experiment to load",
    ),
]
ENOS = Path(__file__).parents[2] / ".venv" / "bin" / "enos"
LOST = 15


@pytest.fixture
def experiment() -> Directory:
    return Directory(Path(os.environ["ENOS_EXPERIMENT"]).resolve())


@pytest.fixture
def storeless(experiment: Directory) -> Iterator[None]:
    """Stop the store of trace points for as long as a test takes."""
    # systemd would soon start again what Docker stopped
    unit = "kolla-valkey_server-container.service"
    assert enos(experiment, "ssh", "control", "systemctl", "stop", unit) == 0
    yield
    assert enos(experiment, "ssh", "control", "systemctl", "start", unit) == 0


def enos(experiment: Directory, *words: str) -> int:
    argv = (str(ENOS), "--env", str(experiment.path), *words)
    return subprocess.run(argv, check=False).returncode


def bench(
    experiment: Directory, folder: Path, task: str, times: int
) -> tuple[int, Path, dict[str, Any]]:
    """Return exit code, folder and result of a traced scenario."""
    place = folder / "traced"
    place.mkdir()
    (place / "run.yml").write_text(
        f"rally:\n  osprofiler: true\n  args: {{times: {times}}}\n"
        f"  scenarios:\n    - {{file: {task}, name: only}}\n"
    )
    code = enos(experiment, "bench", f"--workload={place}")
    found = max(experiment.results.glob("bench-*-traced"))
    (told,) = json.loads((found / "results.json").read_text())
    return code, found, told


def test_each_boot_and_delete_leaves_a_trace_through_all_services(
    experiment: Directory, tmp_path: Path
) -> None:
    code, folder, told = bench(experiment, tmp_path, "nova-boot-and-delete.yml", 2)

    assert code == 0
    assert (told["iterations"], told["traces"], told["trace_gap"]) == (2, 2, "")
    files = sorted((folder / "01-only" / "traces").glob("*.json.gz"))
    for file, seconds in zip(files, told["durations"], strict=True):
        tree = grown(read(file))
        services = {span.service.partition(" ")[0] for span in tree.spans.values()}
        assert {"keystone", "nova", "neutron-server", "placement"} <= services
        assert {"nova-conductor", "nova-scheduler", "nova-compute"} <= services
        # the trace begins with the login, before Rally's clock starts
        assert seconds - 1 < tree.seconds < seconds + 5


@pytest.mark.usefixtures("storeless")
def test_without_the_store_the_run_ends_and_says_what_is_missing(
    experiment: Directory, tmp_path: Path
) -> None:
    task = "neutron-create-and-list-networks.yml"
    code, _, told = bench(experiment, tmp_path, task, 2)

    assert code == LOST
    assert told["ok"]
    assert "does not answer" in told["trace_gap"]
