"""A partition in the middle of a Rally run: seen in its results, healed by itself.

Asked for by name, for an experiment whose OpenStack runs and that has the groups `core`
(with the controls) and `edge1`: `ENOS_EXPERIMENT=enos-demo make partition`.
"""

import json
import os
import re
import signal
import subprocess
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from enos.events.scripts import LEASE
from enos.state.directory import Directory

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        "ENOS_EXPERIMENT" not in os.environ,
        reason="ENOS_EXPERIMENT names no experiment to disturb",
    ),
]
ROOT = Path(__file__).parents[2]
ENOS = ROOT / ".venv" / "bin" / "enos"
CUT, HEALED = 10.0, 20.0  # seconds after the clock of the run starts


@pytest.fixture
def experiment() -> Directory:
    return Directory(Path(os.environ["ENOS_EXPERIMENT"]).resolve())


def bench(experiment: Directory, events: Path) -> tuple[str, ...]:
    at, file = str(experiment.path), str(events)
    words = ("bench", "--workload=partition", "--events", file)
    return (str(ENOS), "--env", at, *words)


def newest(experiment: Directory) -> Path:
    return max(experiment.results.glob("bench-*-partition"))


def told(folder: Path) -> dict[str, dict[str, Any]]:
    kept = json.loads((folder / "events.json").read_text())
    return {one["kind"]: one for one in kept}


def test_a_partition_shows_in_the_iteration_it_hits_and_no_other(
    experiment: Directory, tmp_path: Path
) -> None:
    file = tmp_path / "events.yml"
    file.write_text(
        f"events: ['at {CUT}s: partition core|edge1', 'at {HEALED}s: heal']\n"
    )

    subprocess.run(bench(experiment, file), check=True, cwd=ROOT)

    folder = newest(experiment)
    events = told(folder)
    assert [one["ok"] for one in events.values()] == [True] * 3
    cut, healed = events["partition"]["at"], events["heal"]["ended"]
    assert abs(events["partition"]["offset"] - CUT) < 0.5
    (result,) = json.loads((folder / "results.json").read_text())
    usual = median(result["durations"])
    slow = [
        (began, ended)
        for began, ended, *_ in result["spans"]
        if ended - began > usual + (HEALED - CUT) / 2
    ]
    print(f"usual {usual:.2f} s, in the partition {[b - a for a, b in slow]}")  # noqa: T201 - the record of the run
    assert slow
    for began, ended in slow:
        assert began < healed
        assert ended > cut
    assert not any(later < earlier for earlier, later in pairwise(sorted(slow)))


def test_hosts_heal_within_the_lease_when_enos_is_killed(
    experiment: Directory, tmp_path: Path
) -> None:
    file = tmp_path / "events.yml"
    file.write_text("events: ['at 5s: partition core|edge1', 'at 10min: heal']\n")
    seen = len(experiment.journal.events())
    with subprocess.Popen(
        bench(experiment, file), cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as enos:
        for line in enos.stderr or ():
            if "event partition" in line:
                break
        time.sleep(3)
        os.kill(enos.pid, signal.SIGKILL)
        killed = time.time()
    assert experiment.changed.exists()
    time.sleep(LEASE + 15)

    tc = (str(ENOS), "--env", str(experiment.path), "tc")
    subprocess.run(tc, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)

    assert not experiment.changed.exists()
    healed = {
        one["hosts"][0]: one["at"] - killed
        for one in experiment.journal.events()[seen:]
        if one["kind"] == "event" and one["status"] == "healed"
    }
    print(f"seconds from the kill to the healing: {healed}")  # noqa: T201 - the record of the run
    assert len(healed) >= 2
    assert all(0 < seconds < LEASE + 10 for seconds in healed.values())


def test_nothing_of_events_stays_on_the_hosts(experiment: Directory) -> None:
    testbed = experiment.load().testbed
    assert testbed
    for host in testbed.hosts:
        look = "ls -d /run/enos-events; nft list tables"
        ssh = (str(ENOS), "--env", str(experiment.path), "ssh", host.name)
        done = subprocess.run(
            (*ssh, "--", "sh", "-c", look), capture_output=True, text=True, check=False
        )
        assert not re.search(
            r"^/run/enos-events|enos_events", done.stdout, re.MULTILINE
        )
