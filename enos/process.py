"""Running other programs: argv in, `Completed` out, logged and killable.

Every program enos starts carries `ENOS_SESSION` in its environment. When enos itself
was killed, the next one on the same experiment finds what is left by that mark and
ends it (`end_leftovers`) before it goes on: process groups do not suffice, since
Ansible's workers open sessions of their own.
"""

import os
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol, TextIO, cast

from enos.errors import CapabilityError, ProcessError

MARK = "ENOS_SESSION"
TAIL = 40  # lines of output shown with a failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A program that has ended."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Tell whether the exit status was 0."""
        return self.returncode == 0


class Shell(Protocol):
    """Starts programs. `LocalShell` does it for real, `RecordingShell` for tests."""

    def run(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        check: bool = True,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run to the end and return the output.

        Raises ProcessError when `check` and the status is not 0 or time ran out;
        CapabilityError when the program is not installed.
        """

    def stream(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        log: Path,
        on_line: Callable[[str], None] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        check: bool = True,
    ) -> Completed:
        """Run to the end, each line (stdout and stderr) to `log` and `on_line`.

        The result's stdout holds the last lines only. Raises as `run` does.
        """

    def pipe(
        self,
        argv: Sequence[str | os.PathLike[str]],
        consume: Callable[[IO[bytes]], None],
        *,
        check: bool = True,
        timeout: float | None = None,
    ) -> Completed:
        """Run to the end while `consume` reads the program's stdout as bytes.

        The result's stdout is empty; what `consume` leaves unread is thrown away.
        Raises as `run` does, or what `consume` raises, the program ended.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalShell:
    """Runs programs on this machine.

    Attributes:
        session: id of the experiment, the mark its processes carry.
        env: added to the environment of every program.

    """

    session: str = "none"
    env: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        check: bool = True,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """See `Shell.run`."""
        words = tuple(os.fspath(word) for word in argv)
        began = time.monotonic()
        with self._start(words, env=env, cwd=cwd, stderr=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(stdin, timeout=timeout)
            except BaseException as stop:
                _end_group(process)
                if isinstance(stop, subprocess.TimeoutExpired):
                    raise _timed_out(words, timeout) from None
                raise
        done = Completed(
            argv=words,
            returncode=process.returncode,
            stdout=out,
            stderr=err,
            seconds=time.monotonic() - began,
        )
        if check and not done.ok:
            raise failure(done)
        return done

    def stream(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        log: Path,
        on_line: Callable[[str], None] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        check: bool = True,
    ) -> Completed:
        """See `Shell.stream`."""
        words = tuple(os.fspath(word) for word in argv)
        began = time.monotonic()
        log.parent.mkdir(parents=True, exist_ok=True)
        with (
            log.open("a", encoding="utf-8") as sink,
            self._start(words, env=env, cwd=cwd, stderr=subprocess.STDOUT) as process,
        ):
            sink.write(f"$ {shlex.join(words)}\n")
            try:
                last = _pump(process, sink, on_line)
            except BaseException:
                _end_group(process)
                raise
        done = Completed(
            argv=words,
            returncode=process.returncode,
            stdout="".join(last),
            seconds=time.monotonic() - began,
        )
        if check and not done.ok:
            raise failure(done, log=log)
        return done

    def pipe(
        self,
        argv: Sequence[str | os.PathLike[str]],
        consume: Callable[[IO[bytes]], None],
        *,
        check: bool = True,
        timeout: float | None = None,
    ) -> Completed:
        """See `Shell.pipe`."""
        words = tuple(os.fspath(word) for word in argv)
        began = time.monotonic()
        # A file for stderr: a child that keeps it open (ControlPersist) holds nobody up
        with tempfile.TemporaryFile() as errors:
            with self._start(words, env=None, cwd=None, stderr=errors) as process:
                _feed(process, consume, timeout)
            errors.seek(0)
            said = errors.read().decode(errors="replace")
        done = Completed(
            argv=words,
            returncode=process.returncode,
            stderr=said,
            seconds=time.monotonic() - began,
        )
        if check and not done.ok:
            raise failure(done)
        return done

    def _start(
        self,
        argv: tuple[str, ...],
        *,
        env: Mapping[str, str] | None,
        cwd: Path | None,
        stderr: int | IO[bytes],
    ) -> "subprocess.Popen[str]":
        try:
            return subprocess.Popen(
                argv,
                stdin=stderr if stderr == subprocess.PIPE else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, **self.env, **(env or {}), MARK: self.session},
                cwd=cwd,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except (FileNotFoundError, NotADirectoryError, PermissionError) as refused:
            raise _not_started(argv, cwd, refused) from None


def _not_started(
    argv: tuple[str, ...], cwd: Path | None, refused: OSError
) -> CapabilityError | ProcessError:
    why = refused.strerror
    if cwd and str(refused.filename) == str(cwd):  # Popen names what it cannot enter
        message = f"`{argv[0]}` cannot be started in `{cwd}`: {why}"
        return ProcessError(message, argv=argv, hint="make the folder, or name another")
    hint = "run `enos doctor` to see what this machine lacks"
    return CapabilityError(f"`{argv[0]}` cannot be started: {why}", hint=hint)


def failure(done: Completed, *, log: Path | None = None) -> ProcessError:
    """Return the error for a program that failed, with the end of its output."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()[-TAIL:]
    where = f"; the whole output is in `{log}`" if log else ""
    return ProcessError(
        f"`{Path(done.argv[0]).name}` failed with status {done.returncode}{where}",
        argv=done.argv,
        returncode=done.returncode,
        hint=f"the command was: {shlex.join(done.argv)}",
        details="\n".join(lines),
    )


def end_leftovers(session: str, *, grace: float = 5.0) -> tuple[int, ...]:
    """End the processes an earlier, killed enos of this session left; return them."""
    mine = _ancestors(os.getpid())
    ended: dict[int, None] = {}
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = _marked(session) - mine  # anew: an id may be another's by now
        ended |= dict.fromkeys(sorted(left))
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        deadline = time.monotonic() + grace
        while left and time.monotonic() < deadline:
            time.sleep(0.05)
            left = _marked(session) - mine
    return tuple(ended)


def _pump(
    process: "subprocess.Popen[str]",
    sink: IO[str],
    on_line: Callable[[str], None] | None,
) -> list[str]:
    last: list[str] = []
    for line in process.stdout or ():
        sink.write(line)
        sink.flush()
        last = [*last[1 - TAIL :], line]
        if on_line:
            on_line(line.rstrip("\n"))
    process.wait()
    return last


def _feed(
    process: "subprocess.Popen[str]",
    consume: Callable[[IO[bytes]], None],
    timeout: float | None,
) -> None:
    late = threading.Event()

    def stop() -> None:
        late.set()
        _end_group(process)

    timer = threading.Timer(timeout or threading.TIMEOUT_MAX, stop)
    timer.daemon = True
    timer.start()
    try:
        stdout = cast("TextIO", process.stdout).buffer
        consume(stdout)
        while stdout.read(1 << 16):
            pass
        process.wait()
    except BaseException:
        _end_group(process)
        if not late.is_set():
            raise
    finally:
        timer.cancel()
    if late.is_set():
        raise _timed_out(tuple(cast("list[str]", process.args)), timeout)


def _timed_out(argv: tuple[str, ...], timeout: float | None) -> ProcessError:
    message = f"`{Path(argv[0]).name}` did not end within {timeout:g} s"
    return ProcessError(message, argv=argv, hint=f"the command was: {shlex.join(argv)}")


def _end_group(process: "subprocess.Popen[str]") -> None:
    for number, grace in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(process.pid, number)
            process.wait(grace)
        except (ProcessLookupError, PermissionError):
            return
        except subprocess.TimeoutExpired:
            continue
        else:
            return


def _marked(session: str) -> frozenset[int]:
    """Return the processes with the mark; one that has ended has none (proc(5))."""
    mark = f"{MARK}={session}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in entry.read_bytes().split(b"\0"):
                found.append(int(entry.parent.name))
        except OSError:
            continue  # ended meanwhile, or not ours to look at
    return frozenset(found)


def _ancestors(pid: int) -> frozenset[int]:
    line = {pid}
    while pid > 1:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        except OSError:
            break
        pid = int(stat.rpartition(")")[2].split()[1])
        line.add(pid)
    return frozenset(line)
