"""Events on namespaces of this machine: seen by traffic, healed by themselves."""

import math
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Self

import pytest

from enos.config.constraints import ConstraintSpec, NetworkConstraints
from enos.config.events import Event, Heal, LinkChange, Partition, Timeline
from enos.events import (
    Conductor,
    EventsPlan,
    Field,
    Ground,
    Happened,
    Place,
    finish,
    judge,
    look,
    plan_events,
)
from enos.netem import apply, check, plan_emulation, probe_backend
from enos.remote import run_on
from enos.testing.namespaces import NamespaceTestbed
from enos.testing.recording import RecordingProgress
from enos.units import Duration

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

BASE = NetworkConstraints(default_delay=Duration(ms=5))
APART = (("grp1", "grp3"),)
SLOWER = tuple(
    ConstraintSpec(src=one, dst=other, delay=Duration(ms=30))
    for one, other in (("grp1", "grp3"), ("grp3", "grp1"))
)
PATIENCE = 60.0  # seconds for what takes one on an idle machine
STATE = """tc qdisc show; iptables -t raw -S; ipset list -n; nft list tables
awk '{ print $1 }' /proc/net/netfilter/nfnetlink_queue; ls -A /run"""


@pytest.fixture(autouse=True)
def _however_busy_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enos.events.record.LATE", math.inf)


@pytest.fixture(scope="module")
def net() -> Iterator[NamespaceTestbed]:
    with NamespaceTestbed(groups=("grp1", "grp2", "grp3"), prefix="enos-ev") as net:
        yield net


@pytest.fixture(scope="module")
def ground(net: NamespaceTestbed) -> Ground:
    progress = RecordingProgress()
    backend = probe_backend(net.testbed, net.shell, progress).backend
    plan = plan_emulation(BASE, net.testbed)
    apply(plan, net.testbed, net.shell, progress, backend=backend)
    found = look(field(net, Path("/nowhere")))
    return Ground(
        testbed=net.testbed, constraints=BASE, backend=backend, egress=found.egress
    )


def field(net: NamespaceTestbed, folder: Path, *, lease: int = 30) -> Field:
    return Field(
        testbed=net.testbed,
        shell=net.shell,
        progress=RecordingProgress(),
        here=Place(folder=str(folder), unit="enos-events-test", lease=lease),
        place=Place(lease=lease),
    )


def planned(ground: Ground, *events: Event) -> EventsPlan:
    return plan_events(Timeline(events=events), ground)


def said(net: NamespaceTestbed, place: int, *command: str) -> str:
    return run_on(net.shell, net.testbed.hosts[place], command, check=False).stdout


def until(told: list[Happened], number: int) -> None:
    """Wait until an event has ended."""
    wait(lambda: any(one.number == number and one.ended for one in told))


def wait(wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def reaches(net: NamespaceTestbed, place: int, target: str) -> bool:
    return "1 received" in said(net, place, "ping", "-c1", "-W10", target)


def cut_off(net: NamespaceTestbed, place: int, target: str) -> bool:
    return "1 received" not in said(net, place, "ping", "-c1", "-W1", target)


class Pings:
    """Pings a host ten times a second from another, with the time of each answer.

    Attributes:
        last: the number of the last one that was answered.

    """

    def __init__(self, net: NamespaceTestbed, source: int, target: str) -> None:
        host = net.testbed.hosts[source]
        pid = net.shell.entries[host.address]
        self.answers: list[tuple[float, float]] = []
        self.last = 0
        self._process = subprocess.Popen(
            ["nsenter", "-t", str(pid), "-n", "ping", "-D", "-n", "-i", "0.1", target],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.send_signal(signal.SIGINT)
            self._reader.join()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            found = re.match(r"\[([\d.]+)\].*icmp_seq=(\d+).*time=([\d.]+)", line)
            if found:
                self.last = int(found[2])
                self.answers.append((float(found[1]), float(found[3])))

    def between(self, begin: float, end: float) -> list[float]:
        """Return the round trips, in ms, of the answers that came in this time."""
        return [rtt for when, rtt in self.answers if begin < when < end]

    def until(self, count: int, since: float = 0.0) -> None:
        """Wait until so many answers have come since a moment."""
        wait(lambda: len(self.between(since, math.inf)) >= count)


def test_a_partition_in_the_middle_of_traffic_shows_and_heals_on_time(
    net: NamespaceTestbed, ground: Ground, tmp_path: Path
) -> None:
    before = [said(net, n, "sh", "-c", STATE) for n in range(3)]
    told: list[Happened] = []
    plan = planned(
        ground,
        Partition(at=0.5, text="partition grp1|grp3", pairs=APART),
        Heal(at=6.0, text="heal"),  # long enough for a cut that comes late
    )

    with (
        Pings(net, 0, "10.99.0.3") as apart,
        Pings(net, 0, "10.99.0.2") as near,
        Conductor(plan, field(net, tmp_path / "here"), told.append) as conductor,
    ):
        apart.until(3)
        near.until(3)
        conductor.began("load")
        until(told, 2)
        apart.until(3, since=time.time())
        near.until(3, since=time.time())

    cut, healed = [one for one in told if one.ended and one.number]
    assert cut.offset is not None
    assert cut.ended is not None
    assert healed.at is not None
    assert healed.offset is not None
    assert cut.offset >= 0.5
    assert healed.offset >= 6.0
    silent = apart.between(cut.ended, healed.at)
    assert len(silent) <= 1  # one that was answered before and read after
    assert apart.last - len(apart.answers) >= 5
    assert len(near.answers) > 0.9 * near.last
    judge([one for one in told if one.ended])
    assert [said(net, n, "sh", "-c", STATE) for n in range(3)] == before


def test_a_partition_holds_for_every_address_in_both_directions(
    net: NamespaceTestbed, ground: Ground, tmp_path: Path
) -> None:
    plan = planned(ground, Partition(at=0.0, text="partition", pairs=APART))
    told: list[Happened] = []

    with Conductor(plan, field(net, tmp_path / "here"), told.append) as conductor:
        conductor.began("load")
        until(told, 1)
        for place, target in ((0, "10.99.0.3"), (0, "fd00:99::3"), (2, "fd00:99::1")):
            assert cut_off(net, place, target)
        assert reaches(net, 1, "10.99.0.3")
        at_device = said(net, 0, "nft", "list", "table", "netdev", "enos_events")
        assert ("hook egress" in at_device) == ("node-1" in ground.egress)

    assert reaches(net, 0, "10.99.0.3")


REACHES = """
import socket, sys
knock = socket.socket()
knock.settimeout(3)
print(knock.connect_ex(("10.99.0.3", int(sys.argv[1]))) != 11)  # EAGAIN: no answer
"""


def test_ssh_passes_a_partition_where_enos_runs_on_a_host(
    net: NamespaceTestbed, ground: Ground, tmp_path: Path
) -> None:
    told: list[Happened] = []
    here = replace(ground, controller=("10.99.0.1",))
    plan = planned(here, Partition(at=0.0, text="partition", pairs=APART))

    with Conductor(plan, field(net, tmp_path / "here"), told.append) as conductor:
        conductor.began("load")
        until(told, 1)
        reached = {
            port: said(net, 0, "python3", "-c", REACHES, port).strip()
            for port in ("22", "23")
        }

    assert reached == {"22": "True", "23": "False"}


def test_a_change_of_links_holds_until_the_run_ends(
    net: NamespaceTestbed, ground: Ground, tmp_path: Path
) -> None:
    told: list[Happened] = []
    plan = planned(ground, LinkChange(at=0.0, text="delay 30ms", specs=SLOWER))

    with (
        Pings(net, 0, "10.99.0.3") as pings,
        Conductor(plan, field(net, tmp_path / "here"), told.append) as conductor,
    ):
        pings.until(7)
        conductor.began("load")
        until(told, 1)
        pings.until(7, since=time.time() + 0.1)

    change, end = [one for one in told if one.ended]
    assert change.at
    assert change.ended
    assert end.at
    earlier = pings.between(0.0, change.at)
    later = pings.between(change.ended + 0.1, end.at)
    assert median(later) - median(earlier) > 20
    check(
        plan_emulation(BASE, net.testbed),
        net.testbed,
        net.shell,
        backend=ground.backend,
    )


KILLED = """
import pickle, sys, time
from enos.events import Conductor
plan, where = pickle.loads(sys.stdin.buffer.read())
def tell(one):
    print(one.outcome, flush=True)
with Conductor(plan, where, tell, pulse=0.5) as conductor:
    conductor.began("load")
    time.sleep(60)
"""


def test_links_heal_by_themselves_when_enos_is_killed(
    net: NamespaceTestbed, ground: Ground, tmp_path: Path
) -> None:
    lease = 6
    before = [said(net, n, "sh", "-c", STATE) for n in range(3)]
    plan = planned(
        ground,
        LinkChange(at=0.0, text="delay 30ms", specs=SLOWER),
        Partition(at=0.0, text="partition", pairs=APART),
    )
    where = field(net, tmp_path / "here", lease=lease)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as enos:
        assert enos.stdin is not None
        assert enos.stdout is not None
        enos.stdin.write(pickle.dumps((plan, where)))
        enos.stdin.close()
        told = [enos.stdout.readline().strip() for _ in range(4)]
        assert set(told) <= {b"running", b"done", b"waited", b"late"}
        os.kill(enos.pid, signal.SIGKILL)
        killed = time.time()
    assert cut_off(net, 0, "10.99.0.3")

    wait(lambda: not cut_off(net, 0, "10.99.0.3"))
    left = ("ls", "/run/enos-events")
    wait(lambda: not any("armed" in said(net, n, *left) for n in (0, 2)))
    healed, errors = finish(plan.hosts, where, here=False)

    assert errors == {}
    assert set(healed) == {"node-1", "node-3"}
    assert all(0 < moment - killed < lease + 15 for moment in healed.values())
    assert [said(net, n, "sh", "-c", STATE) for n in range(3)] == before


def test_the_next_command_heals_what_a_killed_enos_left(
    net: NamespaceTestbed, ground: Ground, tmp_path: Path
) -> None:
    before = [said(net, n, "sh", "-c", STATE) for n in range(3)]
    plan = planned(ground, Partition(at=0.0, text="partition", pairs=APART))
    where = field(net, tmp_path / "here")
    told: list[Happened] = []
    conductor = Conductor(plan, where, told.append)
    conductor.__enter__()
    conductor.began("load")
    until(told, 1)

    for _ in range(2):
        assert finish(plan.hosts, where, here=False) == ({}, {})

    assert reaches(net, 0, "10.99.0.3")
    conductor.__exit__(None, None, None)
    assert [said(net, n, "sh", "-c", STATE) for n in range(3)] == before


def test_a_host_that_refuses_an_event_is_named_and_the_run_goes_on(
    net: NamespaceTestbed, ground: Ground, tmp_path: Path
) -> None:
    told: list[Happened] = []
    plan = planned(
        ground,
        Partition(at=0.2, text="partition", pairs=APART),
        Heal(at=0.4, text="heal"),
        Partition(at=60.0, text="too late", pairs=APART),
    )

    with Conductor(plan, field(net, tmp_path / "here"), told.append) as conductor:
        said(net, 0, "sh", "-c", "rm /run/enos-events/armed")
        conductor.began("load")
        until(told, 2)

    partition, heal, late, end = [one for one in told if one.outcome != "running"]
    assert partition.errors.keys() == {"node-1"}
    assert "healed itself" in partition.errors["node-1"]
    assert heal.errors.keys() == {"node-1"}
    assert late.outcome == "not reached"
    assert end.ok
    assert reaches(net, 0, "10.99.0.3")
