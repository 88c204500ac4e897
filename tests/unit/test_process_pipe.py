import sys
import time
from typing import IO

import pytest

from enos.errors import CapabilityError, ProcessError
from enos.process import LocalShell

SHELL = LocalShell()

pytestmark = pytest.mark.usefixtures("processes")


def test_bytes_arrive_as_they_are() -> None:
    got: list[bytes] = []
    done = SHELL.pipe(["printf", r"\377\000a\r\n"], lambda out: got.append(out.read()))
    assert got == [b"\xff\x00a\r\n"]
    assert done.ok
    assert done.stdout == ""


def test_stderr_is_kept_however_much_there_is() -> None:
    code = "import sys; sys.stderr.write('x' * 300_000); print('done')"
    got: list[bytes] = []
    done = SHELL.pipe([sys.executable, "-c", code], lambda out: got.append(out.read()))
    assert got == [b"done\n"]
    assert len(done.stderr) == 300_000


def test_what_is_left_unread_does_not_block_the_program() -> None:
    done = SHELL.pipe(["head", "-c", "5000000", "/dev/zero"], lambda _: None)
    assert done.returncode == 0


def test_a_failure_is_raised_with_the_end_of_stderr() -> None:
    with pytest.raises(ProcessError) as failed:
        SHELL.pipe(["sh", "-c", "echo broken >&2; exit 3"], lambda _: None)
    assert failed.value.returncode == 3
    assert failed.value.details == "broken"


def test_a_failure_can_be_looked_at_instead() -> None:
    done = SHELL.pipe(["sh", "-c", "exit 3"], lambda _: None, check=False)
    assert done.returncode == 3


def test_a_program_that_stalls_is_ended_when_time_is_up() -> None:
    began = time.monotonic()
    with pytest.raises(ProcessError, match="did not end within"):
        SHELL.pipe(["sleep", "60"], lambda out: out.read(), timeout=0.2)
    assert time.monotonic() - began < 10


def test_the_program_is_ended_when_its_reader_fails() -> None:
    def refuse(out: IO[bytes]) -> None:
        raise ValueError(out.read(1))

    began = time.monotonic()
    with pytest.raises(ValueError, match="y"):
        SHELL.pipe(["yes"], refuse)
    assert time.monotonic() - began < 10


def test_a_program_that_is_not_there_is_a_missing_capability() -> None:
    with pytest.raises(CapabilityError, match="no-such-program"):
        SHELL.pipe(["no-such-program"], lambda _: None)
