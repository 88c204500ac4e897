r"""Ports that remember: `RecordingShell` in place of programs, `RecordingProgress`.

shell = RecordingShell()
shell.on("docker ps *", stdout="control-1\n")
shell.on("docker rm *", stderr="no such container", returncode=1)
provider = Local(settings, around(shell=shell, progress=RecordingProgress()))
...
assert ("docker", "rm", "-f", "control-1") in shell.argvs
"""

import io
import os
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

from enos.process import Completed, failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A program somebody asked the shell to run.

    Attributes:
        log: the log file of a `stream` call, None for a `run` call.

    """

    argv: tuple[str, ...]
    stdin: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    timeout: float | None = None
    log: Path | None = None

    @property
    def line(self) -> str:
        """Return the command as one would type it."""
        return shlex.join(self.argv)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a program is to print and how it is to end."""

    stdout: str = ""
    stderr: str = ""
    returncode: int = 0


class RecordingShell:
    """A `Shell` that starts nothing: remembers each call, gives scripted answers.

    A command nobody scripted succeeds and prints nothing, unless `strict`, when it
    raises AssertionError. Safe to call from threads.

    Attributes:
        calls: every call, in order.

    """

    def __init__(self, *, strict: bool = False) -> None:
        self.calls: list[Call] = []
        self._answers: list[tuple[str, list[Answer | Callable[[Call], Answer]]]] = []
        self._strict = strict
        self._lock = threading.Lock()

    @property
    def argvs(self) -> list[tuple[str, ...]]:
        """Return the argv of every call, in order."""
        return [call.argv for call in self.calls]

    @property
    def lines(self) -> list[str]:
        """Return every call as one would type it, in order."""
        return [call.line for call in self.calls]

    def on(
        self, pattern: str, *, stdout: str = "", stderr: str = "", returncode: int = 0
    ) -> None:
        """Answer each command line that matches a shell-style pattern (fnmatch).

        The line is the argv quoted as for a shell; the latest matching pattern wins.
        """
        answer = Answer(stdout=stdout, stderr=stderr, returncode=returncode)
        self.script(pattern, answer)

    def script(self, pattern: str, *answers: Answer | Callable[[Call], Answer]) -> None:
        """Answer matching commands one after the other, the last one for ever."""
        self._answers.insert(0, (pattern, list(answers)))

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
        """See `enos.process.Shell.run`."""
        words = tuple(os.fspath(word) for word in argv)
        call = Call(argv=words, stdin=stdin, env=env or {}, cwd=cwd, timeout=timeout)
        return self._completed(call, check=check)

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
        """See `enos.process.Shell.stream`; the log is not written."""
        words = tuple(os.fspath(word) for word in argv)
        call = Call(argv=words, env=env or {}, cwd=cwd, log=log)
        done = self._completed(call, check=check)
        if on_line:
            for line in done.stdout.splitlines():
                on_line(line)
        return done

    def pipe(
        self,
        argv: Sequence[str | os.PathLike[str]],
        consume: Callable[[IO[bytes]], None],
        *,
        check: bool = True,
        timeout: float | None = None,
    ) -> Completed:
        """See `enos.process.Shell.pipe`; the scripted stdout is read in UTF-8."""
        words = tuple(os.fspath(word) for word in argv)
        done = self._completed(Call(argv=words, timeout=timeout), check=check)
        consume(io.BytesIO(done.stdout.encode()))
        return replace(done, stdout="")

    def _completed(self, call: Call, *, check: bool) -> Completed:
        with self._lock:
            self.calls.append(call)
            found = self._answer(call)
        answer = found if isinstance(found, Answer) else found(call)
        done = Completed(
            argv=call.argv,
            returncode=answer.returncode,
            stdout=answer.stdout,
            stderr=answer.stderr,
        )
        if check and not done.ok:
            raise failure(done)
        return done

    def _answer(self, call: Call) -> Answer | Callable[[Call], Answer]:
        for pattern, answers in self._answers:
            if fnmatchcase(call.line, pattern):
                return answers.pop(0) if len(answers) > 1 else answers[0]
        if self._strict:
            raise AssertionError(f"nobody scripted an answer to: {call.line}")
        return Answer()


@dataclass(slots=True)
class RecordedStep:
    """A step somebody opened, what it waited for and how it ended.

    Attributes:
        outcome: ``open``, ``done`` or ``failed``.

    """

    title: str
    host: str = ""
    awaited: list[str] = field(default_factory=list)
    skips: list[str] = field(default_factory=list)
    outcome: str = "open"

    def awaiting(self, what: str) -> None:
        """See `enos.progress.Step.awaiting`."""
        self.awaited.append(what)

    def skipped(self, why: str) -> None:
        """See `enos.progress.Step.skipped`."""
        self.skips.append(why)


class RecordingProgress:
    """A `Progress` that keeps all it is told."""

    def __init__(self) -> None:
        self.steps: list[RecordedStep] = []
        self.decisions: list[str] = []
        self.warnings: list[str] = []

    @contextmanager
    def step(self, title: str, *, host: str = "") -> Iterator[RecordedStep]:
        """See `enos.progress.Progress.step`."""
        step = RecordedStep(title, host)
        self.steps.append(step)
        try:
            yield step
        except BaseException:
            step.outcome = "failed"
            raise
        step.outcome = "done"

    def decision(self, what: str) -> None:
        """See `enos.progress.Progress.decision`."""
        self.decisions.append(what)

    def warn(self, what: str) -> None:
        """See `enos.progress.Progress.warn`."""
        self.warnings.append(what)
