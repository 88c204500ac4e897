"""Progress that is also written to the journal, under the name of a phase."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from enos.progress import Progress, Step
from enos.state.journal import Journal


@dataclass(slots=True)
class _Skips:
    """Passes a step's calls on and remembers whether it was skipped."""

    inner: Step
    skipped_: bool = False

    def awaiting(self, what: str) -> None:
        self.inner.awaiting(what)

    def skipped(self, why: str) -> None:
        self.skipped_ = True
        self.inner.skipped(why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Forwards to another progress and appends each event to the journal."""

    inner: Progress
    journal: Journal
    phase: str

    @contextmanager
    def step(self, title: str, *, host: str = "") -> Iterator[Step]:
        """See `Progress.step`; failed steps are journaled as such."""
        began, status = time.monotonic(), "failed"
        with self.inner.step(title, host=host) as inner:
            step = _Skips(inner)
            try:
                yield step
                status = "skipped" if step.skipped_ else "finished"
            finally:
                self.journal.append(
                    "step",
                    title,
                    phase=self.phase,
                    host=host,
                    status=status,
                    seconds=round(time.monotonic() - began, 3),
                )

    def decision(self, what: str) -> None:
        """See `Progress.decision`."""
        self.journal.append("decision", what, phase=self.phase)
        self.inner.decision(what)

    def warn(self, what: str) -> None:
        """See `Progress.warn`."""
        self.journal.append("warning", what, phase=self.phase)
        self.inner.warn(what)
