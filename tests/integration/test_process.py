"""Programs are started, logged, timed out and, when enos was killed, ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from enos.errors import CapabilityError, ProcessError
from enos.process import LocalShell, end_leftovers

pytestmark = pytest.mark.integration
SHELL = LocalShell(session="enos-test")


def test_a_failure_shows_the_command_and_the_end_of_its_output() -> None:
    with pytest.raises(ProcessError, match="`sh` failed with status 3") as caught:
        SHELL.run(["sh", "-c", "echo no room >&2; exit 3"])

    assert caught.value.details == "no room"
    assert caught.value.hint == "the command was: sh -c 'echo no room >&2; exit 3'"


def test_a_missing_program_is_a_missing_capability() -> None:
    with pytest.raises(CapabilityError, match="`no-such-program`"):
        SHELL.run(["no-such-program"])


def test_a_file_that_may_not_be_run_is_a_missing_capability(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.write_text("#!/bin/sh\n")

    with pytest.raises(CapabilityError, match="cannot be started: Permission denied"):
        SHELL.run([file])


def test_a_folder_that_is_not_there_is_not_told_of_the_program(tmp_path: Path) -> None:
    gone = tmp_path / "gone"

    with pytest.raises(ProcessError, match=f"`true` cannot be started in `{gone}`"):
        SHELL.run(["true"], cwd=gone)
    gone.write_text("")
    with pytest.raises(ProcessError, match="Not a directory"):
        SHELL.run(["true"], cwd=gone)


def test_a_program_that_takes_too_long_is_ended() -> None:
    began = time.monotonic()

    with pytest.raises(ProcessError, match=r"did not end within 0\.3 s"):
        SHELL.run(["sleep", "60"], timeout=0.3)

    assert time.monotonic() - began < 10


def test_a_stream_goes_to_the_log_line_by_line(tmp_path: Path) -> None:
    seen: list[str] = []

    done = SHELL.stream(
        ["sh", "-c", "echo one; echo two >&2"],
        log=tmp_path / "logs" / "up.log",
        on_line=seen.append,
    )

    assert done.ok
    assert seen == ["one", "two"]
    assert (tmp_path / "logs" / "up.log").read_text().splitlines()[1:] == seen


def test_what_a_killed_enos_left_is_ended_and_nothing_else() -> None:
    program = (
        "from enos.process import LocalShell\n"
        "LocalShell(session='enos-killed').run(['setsid', '-w', 'sleep', '60'])"
    )
    killed = subprocess.Popen([sys.executable, "-c", program])
    bystander = subprocess.Popen(["sleep", "60"])
    deadline = time.monotonic() + 10
    while not end_leftovers_seen("enos-killed") and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()

    ended = end_leftovers("enos-killed")

    assert ended
    assert not end_leftovers_seen("enos-killed")
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def end_leftovers_seen(session: str) -> bool:
    mark = f"ENOS_SESSION={session}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            named = b"sleep" in (entry / "cmdline").read_bytes()
            marked = mark in (entry / "environ").read_bytes()
            alive = "Z" not in (entry / "stat").read_text().rpartition(")")[2][:3]
        except OSError:
            continue
        if named and marked and alive:
            return True
    return False
