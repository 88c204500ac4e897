"""A database that was brought up again is known by its process, not by its port."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enos.errors import MonitoringError
from enos.metrics import saved
from enos.testbed import Host
from enos.testing import RecordingShell

pytestmark = [pytest.mark.usefixtures("processes")]
SLEEPER = """\
import signal, sys, time
if "deaf" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(flush=True)
time.sleep(60)
"""


HOST = Host(name="a", address="192.0.2.1")


def backup(text: str) -> RecordingShell:
    """Return a shell that sends a tar file with measures."""
    out, shell = io.BytesIO(), RecordingShell()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(saved.LINES)
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text.encode()))
    shell.on("*", stdout=out.getvalue().decode())
    return shell


def test_what_was_saved_before_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    for text in ("first", "second"):
        saved.save(HOST, folder, backup(text))

    assert (folder / saved.LINES).read_text() == "second"
    assert [one.name for one in tmp_path.iterdir()] == ["metrics"]


@pytest.mark.parametrize("killed_at", [1, 2, 3])
def test_measures_are_there_whenever_a_save_is_killed(
    killed_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, done = tmp_path / "metrics", 0
    saved.save(HOST, folder, backup("first"))

    class Killed(BaseException):
        pass

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:  # noqa: ANN401 - whatever the step takes
            nonlocal done
            done += 1
            if done == killed_at:
                raise Killed
            return step(*given)

        return run

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", counted(Path.rename))
        patch.setattr(shutil, "rmtree", counted(shutil.rmtree))
        with pytest.raises(Killed):
            saved.save(HOST, folder, backup("second"))
    silent = RecordingShell()
    silent.on("*", returncode=1)
    with pytest.raises(MonitoringError):
        saved.save(HOST, folder, silent)

    wanted = "first" if killed_at < 3 else "second"
    assert (folder / saved.LINES).read_text() == wanted
    assert [one.name for one in tmp_path.iterdir()] == ["metrics"]


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
