"""Services that events stop and pause: real containers of this machine's Docker."""

import io
import operator
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from enos.config.events import Event, Switch, Timeline, Verb
from enos.events import Conductor, Field, Ground, Happened, Place, finish, look
from enos.events.plan import EventsPlan
from enos.events.planner import plan_events
from enos.testbed import Host, Testbed
from enos.testing.namespaces import NamespaceShell
from enos.testing.recording import RecordingProgress

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
HERE = Host(name="this-1", address="this-1", groups=("grp1",))
MARK = f"enos_test_{uuid4().hex[:6]}"
NAMES = (f"{MARK}_api", f"{MARK}_agent")
GONE = f"{MARK}_gone"


def docker(*words: str) -> str:
    done = subprocess.run(
        ("docker", *words), check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def image() -> str:
    """Make an image of nothing but `sleep` and the libraries it needs."""
    sleep = shutil.which("sleep")
    assert sleep
    linked = subprocess.run(("ldd", sleep), capture_output=True, text=True, check=True)
    files = [sleep, *re.findall(r"/\S+", linked.stdout)]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for file in files:
            name = "sleep" if file == sleep else file.lstrip("/")
            tar.add(Path(file).resolve(), name)
    done = subprocess.run(
        ("docker", "import", "-", MARK),
        input=packed.getvalue(),
        check=True,
        capture_output=True,
    )
    return done.stdout.decode().strip()


@pytest.fixture(scope="module")
def containers() -> Iterator[tuple[str, ...]]:
    made = image()
    try:
        for name in NAMES:
            docker("run", "--detach", "--init", "--name", name, MARK, "/sleep", "600")
        yield NAMES
    finally:
        gone = ("docker", "rm", "-f", *NAMES, GONE)
        subprocess.run(gone, check=False, capture_output=True)
        docker("rmi", "-f", made)


@pytest.fixture
def where(tmp_path: Path) -> Field:
    return Field(
        testbed=Testbed(provider="this", hosts=(HERE,), networks=()),
        shell=NamespaceShell(entries={HERE.address: os.getpid()}),
        progress=RecordingProgress(),
        here=Place(folder=str(tmp_path / "here"), unit=MARK),
        place=Place(folder=str(tmp_path / "watch"), unit=MARK),
    )


def switch(at: float, verb: Verb, name: str) -> Switch:
    return Switch(at=at, text=f"{verb} {name}", verb=verb, name=name)


def planned(where: Field, *events: Event) -> EventsPlan:
    found = look(where)
    ground = Ground(testbed=where.testbed, containers=found.containers)
    return plan_events(Timeline(events=events), ground)


def status(name: str) -> str:
    return docker("inspect", "--format", "{{.State.Status}}", name)


def befell(name: str, since: float) -> list[str]:
    """Return what was done to a container, as Docker tells."""
    kinds = ("pause", "unpause", "stop", "start")
    wanted = (f"event={kind}" for kind in kinds)
    filters = (word for one in (f"container={name}", *wanted) for word in ("-f", one))
    span = (f"--since={since:.6f}", f"--until={time.time():.6f}")
    return docker("events", *span, *filters, "--format", "{{.Action}}").splitlines()


def until(name: str, wanted: str, seconds: float = 60) -> float:
    """Wait for a status; return the seconds it took."""
    began = time.monotonic()
    while status(name) != wanted:
        assert time.monotonic() < began + seconds, f"{name} is {status(name)}"
        time.sleep(0.05)
    return time.monotonic() - began


def test_services_pause_stop_and_come_back_at_their_time(
    containers: tuple[str, ...], where: Field
) -> None:
    api, agent = containers
    told: list[Happened] = []
    plan = planned(
        where,
        switch(0.0, "pause", MARK.replace("_", "-")),
        switch(0.3, "unpause", MARK),
        switch(0.6, "stop", f"{MARK}-api"),
        switch(0.9, "start", f"{MARK}-api"),
    )
    began = time.time()
    assert plan.steps[0].tasks["this-1"].steps == (f"pause {agent}", f"pause {api}")

    with Conductor(plan, where, told.append) as conductor:
        conductor.began("load")
        deadline = time.monotonic() + 120
        while not any(one.number == 4 and one.ended for one in told):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    assert [one.errors for one in told if one.ended] == [{}] * 5
    offsets = [one.offset or 0.0 for one in told if one.ended and one.number]
    assert all(map(operator.ge, offsets, (0.0, 0.3, 0.6, 0.9)))
    assert befell(api, began) == ["pause", "unpause", "stop", "start"]
    assert befell(agent, began) == ["pause", "unpause"]
    assert not Path(where.place.folder).exists()


def test_what_is_left_stopped_or_paused_comes_back_when_the_run_ends(
    containers: tuple[str, ...], where: Field
) -> None:
    api, agent = containers
    plan = planned(where, switch(0.0, "pause", api), switch(0.0, "stop", agent))

    with Conductor(plan, where, lambda _: None) as conductor:
        conductor.began("load")
        until(api, "paused")
        until(agent, "exited")

    assert (status(api), status(agent)) == ("running", "running")


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


def test_services_come_back_by_themselves_when_enos_is_killed(
    containers: tuple[str, ...], where: Field
) -> None:
    api, agent = containers
    where = replace(where, place=replace(where.place, lease=6))
    plan = planned(where, switch(0.0, "pause", api), switch(0.0, "stop", agent))
    with subprocess.Popen(
        (sys.executable, "-c", KILLED), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as enos:
        assert enos.stdin
        assert enos.stdout
        enos.stdin.write(pickle.dumps((plan, where)))
        enos.stdin.close()
        told = [enos.stdout.readline().strip() for _ in range(4)]
        assert set(told) <= {b"running", b"done", b"waited", b"late"}
        os.kill(enos.pid, signal.SIGKILL)

    until(api, "running")
    until(agent, "running")
    deadline = time.monotonic() + 60
    while (Path(where.place.folder) / "armed").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    healed, errors = finish(plan.hosts, where, here=False)
    assert set(healed) == {"this-1"}
    assert errors == {}


def test_a_service_that_does_not_run_fails_its_event_by_name(
    containers: tuple[str, ...], where: Field
) -> None:
    api, agent = containers
    plan = planned(where, switch(0.0, "pause", api), switch(0.2, "stop", agent))
    docker("kill", api)
    told: list[Happened] = []

    with Conductor(plan, where, told.append) as conductor:
        conductor.began("load")
        until(agent, "exited")

    pause, stop, end = [one for one in told if one.ended]
    assert pause.errors == {"this-1": f"the container {api} is exited"}
    assert stop.errors == {}
    assert end.ok
    assert status(api) == "exited"  # not enos's doing, so not undone
    docker("start", api)


def test_a_container_that_was_removed_meanwhile_is_healed(
    containers: tuple[str, ...], where: Field
) -> None:
    api, agent = containers
    docker("run", "--detach", "--init", "--name", GONE, MARK, "/sleep", "600")
    plan = planned(where, switch(0.0, "stop", GONE), switch(0.0, "stop", agent))
    told: list[Happened] = []

    with Conductor(plan, where, told.append) as conductor:
        conductor.began("load")
        until(agent, "exited")
        docker("rm", "--force", GONE)

    assert told[-1].errors == {}
    assert conductor.healed
    assert (status(api), status(agent)) == ("running", "running")
    assert not Path(where.place.folder).exists()


def test_the_watch_finds_docker_where_enos_does(where: Field) -> None:
    place = replace(where.here, lease=1, kept=("DOCKER_HOST", "SSH_AUTH_SOCK"))
    undo = {"machines": 'echo "$DOCKER_HOST ${SSH_AUTH_SOCK-none} ${OTHER-none}" >seen'}
    env = {**os.environ, "DOCKER_HOST": "unix:///it's here", "OTHER": "not kept"}
    env.pop("SSH_AUTH_SOCK", None)

    for script in (place.arming(undo), place.script("enter", "begin machines")):
        subprocess.run(("sh", "-s"), input=script, text=True, env=env, check=True)
    seen = Path(place.folder) / "seen"
    deadline = time.monotonic() + 60
    while not (Path(place.folder) / "healed").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert seen.read_text() == "unix:///it's here none none\n"
    assert finish((), where, here=True) == ({}, {})
