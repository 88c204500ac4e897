"""The only writer to a terminal: progress and messages to stderr, results to stdout.

On a terminal the steps under way are drawn as live lines (what is awaited, time
elapsed); elsewhere each step is one line when it ends, and a sign of life every
`HEARTBEAT` seconds for those that take longer.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

import click

from enos.errors import EnosError

if TYPE_CHECKING:  # rich is loaded only when there is a terminal to draw on
    from rich.live import Live
    from rich.table import Table

HEARTBEAT = 20.0
NORMAL, QUIET, VERBOSE = 0, -1, 1


@dataclass(slots=True)
class Line:
    """A step under way; the `Step` handed to the work."""

    title: str
    host: str
    began: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)
    what: str = ""
    why_skipped: str = ""

    def awaiting(self, what: str) -> None:
        """See `Step.awaiting`."""
        self.what = what

    def skipped(self, why: str) -> None:
        """See `Step.skipped`."""
        self.why_skipped = why

    @property
    def seconds(self) -> float:
        """Return the time since the step began."""
        return time.monotonic() - self.began

    def __str__(self) -> str:
        """Return title, host and what is awaited."""
        where = f" on {self.host}" if self.host else ""
        what = f": {self.what}" if self.what else ""
        return f"{self.title}{where}{what}"


class Console:
    """Draws progress, prints results and errors."""

    def __init__(self, *, level: int = NORMAL, stderr: TextIO | None = None) -> None:
        self.level = level
        self.stderr = stderr or sys.stderr
        self._began = time.monotonic()
        self._lines: list[Line] = []
        self._lock = threading.RLock()
        self._live: Live | None = None
        self._closing = threading.Event()

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Draw the steps for as long as the block runs."""
        painter = threading.Thread(target=self._paint, daemon=True)
        painter.start()
        try:
            yield
        finally:
            self._closing.set()
            painter.join()

    @contextmanager
    def step(self, title: str, *, host: str = "") -> Iterator[Line]:
        """See `Progress.step`."""
        line = Line(title, host)
        with self._lock:
            self._lines.append(line)
        outcome = "failed"
        try:
            yield line
            outcome = "done"
        finally:
            with self._lock:
                self._lines.remove(line)
            self._ended(line, outcome)

    def decision(self, what: str) -> None:
        """See `Progress.decision`."""
        self._say(f"   note: {what}", least=NORMAL)

    def warn(self, what: str) -> None:
        """See `Progress.warn`."""
        self._say(click.style("warning", fg="yellow") + f": {what}", least=QUIET)

    def next_command(self, command: str) -> None:
        """Tell the next command to type."""
        self._say(f"next: {command}", least=NORMAL)

    def result(self, text: str) -> None:
        """Print a result to stdout."""
        click.echo(text)

    def result_json(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Print a result to stdout as JSON."""
        click.echo(json.dumps(value, indent=2))

    def error(self, error: EnosError) -> None:
        """Print a failure: what and where, its details, what to do next."""
        self._say(click.style("error", fg="red") + f": {error.message}", least=QUIET)
        for detail in error.details.splitlines():
            self._say(f"  {detail}", least=QUIET)
        if error.hint:
            self._say(click.style("hint", fg="cyan") + f": {error.hint}", least=QUIET)

    def _ended(self, line: Line, outcome: str) -> None:
        where = f" on {line.host}" if line.host else ""
        if line.why_skipped:
            text = f"{line.title}{where}: {line.why_skipped}"
            self._say(f"{'':>7}  {text}", least=VERBOSE)
            return
        mark = "" if outcome == "done" else click.style(" failed", fg="red")
        self._say(f"{line.seconds:6.1f}s  {line.title}{where}{mark}", least=NORMAL)

    def _say(self, text: str, *, least: int) -> None:
        if self.level < least:
            return
        with self._lock:
            if self._live is not None:
                from rich.text import Text

                self._live.console.print(Text.from_ansi(text))
            else:
                click.echo(text, file=self.stderr)

    def _paint(self) -> None:
        if self.level > QUIET and self.stderr.isatty():
            self._paint_live()
        else:
            self._paint_plainly()

    def _paint_live(self) -> None:
        from rich.console import Console as Terminal
        from rich.live import Live

        live = Live(
            console=Terminal(file=self.stderr), transient=True, auto_refresh=False
        )
        with live:
            self._live = live
            while not self._closing.wait(0.2):
                live.update(self._picture(), refresh=True)
            with self._lock:
                self._live = None

    def _picture(self) -> "Table":
        from rich.table import Table

        picture = Table.grid(padding=(0, 2))
        with self._lock:
            for line in self._lines:
                picture.add_row(f"{line.seconds:6.0f}s", str(line))
        return picture

    def _paint_plainly(self) -> None:
        while not self._closing.wait(1.0):
            now = time.monotonic()
            with self._lock:
                due = [line for line in self._lines if now - line.told > HEARTBEAT]
            for line in due:
                line.told = now
                self._say(f"{line.seconds:6.0f}s  … {line}", least=NORMAL)
