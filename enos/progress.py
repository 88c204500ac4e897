"""The port through which everything below the command line tells what it is doing.

Nothing but the command line writes to a terminal. A phase opens steps, says what it
waits for, and records decisions; the console draws them, the journal keeps them.
"""

from contextlib import AbstractContextManager
from typing import Protocol


class Step(Protocol):
    """One piece of work that is under way."""

    def awaiting(self, what: str) -> None:
        """Say what is being waited for now (`compute-1: sshd`, `TASK [nova : …]`)."""

    def skipped(self, why: str) -> None:
        """Say that nothing had to be done, and why."""


class Progress(Protocol):
    """Where the work reports to. Implementations are safe to call from threads."""

    def step(self, title: str, *, host: str = "") -> AbstractContextManager[Step]:
        """Open a step: journaled with its seconds and outcome when it closes."""

    def decision(self, what: str) -> None:
        """Record a choice made from what was found (`no netem: user space`)."""

    def warn(self, what: str) -> None:
        """Tell of something the user may want to act on, and record it."""
