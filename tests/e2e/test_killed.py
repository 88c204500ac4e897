"""Killed at ten random moments, each time followed by the same command again.

Slow (the main job and a good part of it again), hence asked for by name:
`make killed`, or `ENOS_KILL_SEED=7 make killed` to repeat a run. The moments are drawn
from the seed over the seconds each command took in the last `make demo`.
"""

import os
import random
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from enos.state.directory import Directory
from enos.state.journal import timings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3600)]
ROOT = Path(__file__).parents[2]
ENOS = ROOT / ".venv" / "bin" / "enos"
KILLS = 10
PROOF = 3.0  # seconds from `tc` to the next command in the journal of a demo
COMMANDS = {
    "deploy": (("up", "os", "init"), ["deploy", "-f", "topologies/demo.yml"]),
    "tc": (("tc",), ["tc"]),
    "tc --test": ((), ["tc", "--test"]),
    "bench": (("bench",), ["bench", "--workload=demo"]),
    "backup": (("backup",), ["backup"]),
    "destroy": (("destroy",), ["destroy", "--hard"]),
}


@dataclass(frozen=True, slots=True)
class Kill:
    """A moment: so many seconds into a command."""

    command: str
    after: float


def seconds_of(directory: Directory) -> dict[str, float]:
    """Return what each command took when nothing was killed.

    `tc --test` is no phase, hence not in the journal.
    """
    took = {
        t.what: t.seconds
        for t in timings(directory.journal.events())
        if t.kind == "phase"
    }
    return {
        name: sum(took[p] for p in phases) if phases else PROOF
        for name, (phases, _) in COMMANDS.items()
    }


def newest_demo() -> Directory:
    """Return the directory that the last `make demo` left."""
    runs = ROOT.glob("enos-demo*/state.json")
    newest = max(runs, key=lambda path: path.stat().st_mtime, default=None)
    assert newest, "run `make demo` first"
    return Directory(newest.parent)


def moments(seconds: dict[str, float], seed: int) -> list[Kill]:
    """Draw the moments, uniform over the whole run, in its order."""
    chance = random.Random(seed)
    total = sum(seconds.values())
    drawn = []
    for point in sorted(chance.uniform(0, total) for _ in range(KILLS)):
        left = point
        for name, length in seconds.items():
            if left <= length:
                drawn.append(Kill(name, left))
                break
            left -= length
    return drawn


def kill_after(argv: list[str], seconds: float) -> bool:
    """Start enos and kill it; tell whether it was still running by then."""
    process = subprocess.Popen([ENOS, "-q", *argv], cwd=ROOT)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


@pytest.mark.skipif(
    "ENOS_KILL_SEED" not in os.environ, reason="asked for by `make killed`"
)
def test_ten_kills_end_in_the_same_place() -> None:
    seed = int(os.environ["ENOS_KILL_SEED"])
    plan = moments(seconds_of(newest_demo()), seed)
    print(f"seed {seed}: {plan}")  # noqa: T201 - the record of the run
    killed = 0

    for name, (_, argv) in COMMANDS.items():
        for moment in [kill for kill in plan if kill.command == name]:
            killed += kill_after(argv, max(0.2, moment.after))
        began = time.monotonic()
        subprocess.run([ENOS, *argv], cwd=ROOT, check=True)
        spent = time.monotonic() - began
        told = f"{name}: ended well {spent:.0f} s after the last kill"
        print(told)  # noqa: T201 - the record of the run

    assert killed >= KILLS // 2
