"""A database that was brought up again is known by its process, not by its port."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from enos.errors import MonitoringError
from enos.metrics import saved

pytestmark = [pytest.mark.usefixtures("processes")]
SLEEPER = """\
import signal, sys, time
if "deaf" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(flush=True)
time.sleep(60)
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    running = {"url": "http://127.0.0.1:8086", "backup": "127.0.0.1:8088"}
    (tmp_path / "running.json").write_text(json.dumps(running))
    return tmp_path


@pytest.fixture(autouse=True)
def _somebody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved, "_answers", lambda _: True)
    monkeypatch.setattr(saved, "READY", 0.3)


@pytest.fixture
def started() -> Iterator[list["subprocess.Popen[bytes]"]]:
    several: list[subprocess.Popen[bytes]] = []
    yield several
    for one in several:
        one.kill()
        one.communicate()


def start(
    several: list["subprocess.Popen[bytes]"], data: Path, *words: str | Path
) -> "subprocess.Popen[bytes]":
    argv = (sys.executable, "-c", SLEEPER, *words)
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    several.append(process)
    assert process.stdout
    process.stdout.readline()
    (data / saved.PID).write_text(f"{process.pid}\n")
    return process


def test_the_database_of_a_folder_is_found_by_its_configuration(
    data: Path, started: list["subprocess.Popen[bytes]"]
) -> None:
    start(started, data, "-config", data.resolve() / "influxdb.conf")

    assert saved._running(data) == "http://127.0.0.1:8086"


def test_whatever_else_answers_at_its_port_is_left_alone(
    data: Path, started: list["subprocess.Popen[bytes]"]
) -> None:
    assert saved._running(data) == ""
    other = start(started, data, "-config", "/elsewhere/influxdb.conf")

    assert saved._running(data) == ""
    saved._stop(data)
    assert other.poll() is None


def test_a_database_that_has_ended_is_no_error(
    data: Path, started: list["subprocess.Popen[bytes]"]
) -> None:
    process = start(started, data, data.resolve() / "influxdb.conf")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    saved._stop(data)


def test_a_database_that_does_not_end_is_not_doubled(
    data: Path, started: list["subprocess.Popen[bytes]"]
) -> None:
    start(started, data, data.resolve() / "influxdb.conf", "deaf")

    with pytest.raises(MonitoringError, match="does not end"):
        saved._stop(data)
