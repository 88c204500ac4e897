"""Progress from the lines of the runner on the bench host and of Rally's log."""

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Self

from enos.bench.lines import event
from enos.progress import Progress, Step
from enos.testbed import Host

_ITERATION = re.compile(r"ITER: \d+ (?:START|END: (OK|Error))")


class Watch:
    """Turns the runner's lines into steps, one for each scenario.

    Args:
        names: key → name of the scenarios.
        host: the bench host.
        progress: where the steps are shown.
        began: called with a scenario's name when its first iteration starts.

    Attributes:
        ended: True once the runner said that nothing is left to do.

    """

    def __init__(
        self,
        names: Mapping[str, str],
        host: Host,
        progress: Progress,
        began: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.ended = False
        self._began = began
        self._awaited = ""
        self._names = names
        self._host = host
        self._progress = progress
        self._open = ExitStack()
        self._step: Step | None = None
        self._passed = self._failed = 0

    def __enter__(self) -> Self:
        self._begin("Rally")
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def line(self, text: str) -> None:
        """Take a line of the runner's output."""
        told = event(text)
        if told is None:
            self._count(text)
            return
        match told["event"]:
            case "started":
                self._begin(self._names[told["key"]])
                self._awaited = self._names[told["key"]]
            case "awaiting" if self._step:
                self._step.awaiting(told["what"])
            case "kept":
                with self._progress.step(self._names[told["key"]]) as step:
                    step.skipped("it was run before")
            case "ended":
                self.ended = True
            case _:
                pass  # `alive` and `finished` change nothing that is shown

    def _begin(self, title: str) -> None:
        self._open.close()
        self._passed = self._failed = 0
        step = self._progress.step(title, host=self._host.name)
        self._step = self._open.enter_context(step)

    def _count(self, text: str) -> None:
        found = _ITERATION.search(text)
        if found is None or self._step is None:
            return
        if self._awaited:  # the first line about an iteration: the load begins
            self._began(self._awaited)
            self._awaited = ""
        if found[1] is None:
            return
        self._passed += found[1] == "OK"
        self._failed += found[1] != "OK"
        failed = f", {self._failed} failed" if self._failed else ""
        self._step.awaiting(f"{self._passed} iterations passed{failed}")
