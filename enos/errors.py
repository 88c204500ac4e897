"""Every failure a user can act on, each class with an exit code of its own.

EnosError                1   (never raised itself)
├── ConfigError          3   the experiment or workload file is wrong
├── ProviderError        4   machines cannot be had, reached or given back
├── ProcessError         5   a program that enos started failed
├── PlaybookError        6   Ansible failed on, or could not reach, a host
├── BenchmarkError       7   a scenario or its SLA failed
├── StateError           8   phase out of order, lock held, unreadable state
├── CapabilityError      9   this machine lacks something (Docker, disk, kernel)
├── EmulationError      10   the network is not what was asked for
├── ImageError          11   a container or guest image is missing or unbuildable
├── ArchiveError        12   an archive is damaged or cannot be written
├── CloudError          13   the deployed OpenStack refused or timed out
├── MonitoringError     14   measures are missing, or their database does not answer
└── TraceError          15   traces of a run are missing

Usage errors exit with 2 (click), a bug in enos with 70, Ctrl-C with 130.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class EnosError(Exception):
    """A failure the user can act on.

    Attributes:
        message: what went wrong and where, one sentence without a period.
        hint: what to do next, may be empty.
        details: output of the failed program or a list of problems, may be empty.

    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", details: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details


class ConfigError(EnosError):
    """The experiment or workload file is wrong; all its problems at once."""

    exit_code = 3


class ProviderError(EnosError):
    """Machines cannot be had, reached or given back."""

    exit_code = 4


class ProcessError(EnosError):
    """A program that enos started failed.

    Attributes:
        argv: the command, fit to be pasted into a shell once joined.
        returncode: its exit status; negative for a signal, None for a timeout.

    """

    exit_code = 5

    def __init__(
        self,
        message: str,
        *,
        argv: Iterable[str] = (),
        returncode: int | None = None,
        hint: str = "",
        details: str = "",
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.argv = tuple(argv)
        self.returncode = returncode


class PlaybookError(EnosError):
    """Ansible failed on, or could not reach, at least one host."""

    exit_code = 6


class BenchmarkError(EnosError):
    """A scenario or its SLA failed; the results are kept."""

    exit_code = 7


class StateError(EnosError):
    """A phase is out of order, the lock is held or the state is unreadable."""

    exit_code = 8


class CapabilityError(EnosError):
    """This machine lacks something the experiment needs."""

    exit_code = 9


class EmulationError(EnosError):
    """The network is not, or cannot be made, what was asked for."""

    exit_code = 10


class ImageError(EnosError):
    """A container or guest image is missing or cannot be built."""

    exit_code = 11


class ArchiveError(EnosError):
    """An archive is damaged, incomplete or cannot be written."""

    exit_code = 12


class CloudError(EnosError):
    """The deployed OpenStack refused a request or did not answer in time."""

    exit_code = 13


class MonitoringError(EnosError):
    """Measures are missing over part of a run, or their database does not answer."""

    exit_code = 14


class TraceError(EnosError):
    """Traces of a run are missing or cannot be read; its results are kept."""

    exit_code = 15


def in_one_line(error: EnosError) -> str:
    r"""Return an error with its hint; of a program that failed, with its last words.

    >>> in_one_line(CloudError("it refused", hint="ask again"))
    'it refused; ask again'
    >>> in_one_line(ProcessError("`ssh` failed", hint="…", details="…\nno route"))
    '`ssh` failed; no route'
    """
    said = error.hint
    if isinstance(error, ProcessError):  # its hint is the whole command
        said = (error.details.strip().splitlines() or [""])[-1].strip()
    return "; ".join(filter(None, (error.message, said)))


def meant(word: str, known: Iterable[str]) -> str:
    """Return a hint for a word that is not one of the known ones.

    >>> meant("compte", ("compute", "control"))
    'did you mean `compute`?'
    >>> meant("x", ("b", "a"))
    'known: `a`, `b`'
    """
    names = {name.lower(): name for name in sorted(known)}
    close = get_close_matches(word.lower(), names, n=1)
    if close:
        return f"did you mean `{names[close[0]]}`?"
    return f"known: {listed(names.values())}" if names else ""


def one_of(word: str, known: Iterable[str]) -> str:
    """Return the same hint with all the known ones, in their order, behind it.

    >>> one_of("grp3", ("grp1", "control"))
    'did you mean `grp1`? Known: `grp1`, `control`'
    """
    names = tuple(known)
    close = meant(word, names)
    return f"{close} Known: {listed(names)}" if close.startswith("did") else close


def listed(names: Iterable[str]) -> str:
    """Return names in backticks with commas between them."""
    return ", ".join(f"`{name}`" for name in names)
