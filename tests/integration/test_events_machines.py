"""Machines that events pause and stop: real nodes of the provider `local`."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pytest
from enos_local import Local

from enos.config.constraints import NetworkConstraints
from enos.config.events import Switch, Timeline, Verb
from enos.demand import Demand, MachineDemand
from enos.errors import ProcessError
from enos.events import (
    Conductor,
    EventsPlan,
    Field,
    Ground,
    Happened,
    Place,
    look,
    plan_events,
)
from enos.netem import apply, check, plan_emulation, probe_backend
from enos.process import LocalShell
from enos.provider import Surroundings
from enos.remote import run_on
from enos.testing import RecordingProgress
from enos.units import Duration

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
TWO = Demand(
    machines=(
        MachineDemand(group="grp1", roles=("control",)),
        MachineDemand(group="grp2", roles=("compute",)),
    )
)
BASE = NetworkConstraints(default_delay=Duration(3))


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """Two nodes, 3 ms apart."""

    ground: Ground
    where: Field

    def answers(self) -> bool:
        host = self.where.testbed.hosts[1]
        try:
            done = run_on(self.where.shell, host, ["true"], check=False, timeout=3)
        except ProcessError:
            return False
        return done.ok

    def plan(self, *events: tuple[float, Verb]) -> EventsPlan:
        switches = tuple(
            Switch(at=at, text=f"{verb} compute-1", verb=verb, name="compute-1")
            for at, verb in events
        )
        return plan_events(Timeline(events=switches), self.ground)

    def emulated(self) -> None:
        """Raise EmulationError unless the links are what they were at first."""
        plan = plan_emulation(BASE, self.where.testbed)
        shell, backend = self.where.shell, self.ground.backend
        check(plan, self.where.testbed, shell, backend=backend)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("nodes")
    session, progress = f"enos-test-{token_hex(3)}", RecordingProgress()
    shell = LocalShell(session=session)
    around = Surroundings(
        session=session,
        directory=folder,
        cache=Path(os.environ.get("ENOS_CACHE") or Path.home() / ".cache/enos"),
        shell=shell,
        progress=progress,
    )
    # Not where others look for free ones: they watch whether theirs are gone again.
    settings = Local.Settings.model_validate({"subnets": "10.213.0.0/16"})
    provider = Local(settings, around)
    try:
        testbed = provider.acquire(TWO)
        backend = probe_backend(testbed, shell, progress).backend
        apply(plan_emulation(BASE, testbed), testbed, shell, progress, backend=backend)
        where = Field(
            testbed=testbed,
            shell=shell,
            progress=progress,
            here=Place(folder=str(folder / "events"), unit=session, lease=4),
        )
        found = look(where)
        ground = Ground(
            testbed=testbed,
            constraints=BASE,
            backend=backend,
            egress=found.egress,
            containers=found.containers,
            switch=provider.switching,
        )
        yield Nodes(ground=ground, where=where)
    finally:
        provider.release()


def until(told: list[Happened], number: int) -> None:
    """Wait until an event has ended, however it did."""
    deadline = time.monotonic() + 120
    while not any(one.number == number and one.ended for one in told):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_machine_is_paused_and_goes_on(nodes: Nodes) -> None:
    told: list[Happened] = []
    with Conductor(
        nodes.plan((0.0, "pause"), (9.0, "unpause")),
        nodes.where,
        told.append,
        pulse=1.0,
    ) as conductor:
        conductor.began("load")
        until(told, 1)
        assert not nodes.answers()
        until(told, 2)
        assert nodes.answers()

    assert [one.errors for one in told if one.ended] == [{}] * 3
    nodes.emulated()


def test_a_machine_that_was_stopped_comes_back_with_its_links(nodes: Nodes) -> None:
    told: list[Happened] = []
    with Conductor(
        nodes.plan((0.0, "stop"), (1.0, "start")), nodes.where, told.append, pulse=1.0
    ) as conductor:
        conductor.began("load")
        until(told, 2)
        nodes.emulated()

    assert [one.errors for one in told if one.ended] == [{}] * 3


KILLED = """
import pickle, sys, time
from enos.events import Conductor
plan, where = pickle.loads(sys.stdin.buffer.read())
with Conductor(plan, where, lambda one: print(one.outcome, flush=True)) as conductor:
    conductor.began("load")
    time.sleep(60)
"""


def test_a_paused_machine_goes_on_by_itself_when_enos_is_killed(nodes: Nodes) -> None:
    plan = nodes.plan((0.0, "pause"))
    with subprocess.Popen(
        (sys.executable, "-c", KILLED), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as enos:
        assert enos.stdin
        assert enos.stdout
        enos.stdin.write(pickle.dumps((plan, nodes.where)))
        enos.stdin.close()
        lines = [enos.stdout.readline().strip() for _ in range(2)]
        os.kill(enos.pid, signal.SIGKILL)
    assert lines[1] in {b"done", b"waited", b"late"}
    assert not nodes.answers()

    deadline = time.monotonic() + 30
    while not nodes.answers():
        assert time.monotonic() < deadline
    nodes.emulated()
