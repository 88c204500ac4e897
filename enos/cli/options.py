"""The options every command takes, and what they open: a console and an experiment."""

import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from enos.cli.console import NORMAL, QUIET, VERBOSE, Console

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for on top of the command itself.

    Attributes:
        env: the experiment directory, None for `current`.
        cache: folder for images, environments and packages shared by experiments.
        began: when the command did, by the clock of `time.monotonic`.

    """

    env: Path | None
    level: int
    dry_run: bool
    json: bool
    cwd: Path
    cache: Path
    began: float = field(default_factory=time.monotonic)

    @property
    def console(self) -> Console:
        """Return a console at the wanted level."""
        return Console(level=self.level)


EXPERIMENT = "experiment.yml"
"""The experiment file of commands that are given none."""

EXPERIMENT_FILE = click.option(
    "-f", "--file", type=click.Path(path_type=Path), default=EXPERIMENT,
    show_default=True, help="Experiment file, or the name of a shipped topology.",
)  # fmt: skip
"""The option of the commands that start from an experiment file."""


EVERYWHERE = (
    click.option(
        "-e", "--env", type=click.Path(path_type=Path),
        help="Experiment directory.  [default: `current`, or `enos-NAME` with "
        "-f NAME.yml]",
    ),
    click.option(
        "-q", "-s", "--quiet", "--silent", is_flag=True,
        help="Errors and warnings only.",
    ),
    click.option(
        "-v", "--verbose", is_flag=True, help="Also show steps that were skipped."
    ),
    click.option("--dry-run", is_flag=True, help="Print the plan, touch nothing."),
)  # fmt: skip
"""The options that may stand before a command as well as after it."""

AS_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON."
)


def everywhere(function: F) -> F:
    """Add the options of EVERYWHERE."""
    return _with_options(function, EVERYWHERE)


def common(function: F) -> F:
    """Add the common options; the command gets one `options` argument instead."""
    return _with_options(_given(function), (*EVERYWHERE, AS_JSON))


def common_without_json(function: F) -> F:
    """Add those options to a command whose result is no value."""
    return _with_options(_given(function), EVERYWHERE)


def _with_options(function: F, several: tuple[Callable[[F], F], ...]) -> F:
    for option in reversed(several):
        function = option(function)
    return function


def _given(function: F) -> F:
    @click.pass_context
    @functools.wraps(function)
    def command(context: click.Context, /, **given: Any) -> Any:  # noqa: ANN401 - click's
        mine = ("env", "quiet", "verbose", "dry_run", "as_json")
        outer = context.obj or {}
        chosen = {name: given.pop(name, None) or outer.get(name) for name in mine}
        return function(options=_options(chosen), **given)

    return command  # type: ignore[return-value] # same command, fewer arguments


def cache_folder() -> Path:
    """Return where enos keeps what experiments share (XDG base directories)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ENOS_CACHE") or Path(base) / "enos").absolute()


def _options(chosen: dict[str, Any]) -> Options:
    level = QUIET if chosen["quiet"] else NORMAL
    return Options(
        env=chosen["env"],
        level=VERBOSE if chosen["verbose"] else level,
        dry_run=bool(chosen["dry_run"]),
        json=bool(chosen["as_json"]),
        cwd=Path.cwd(),
        cache=cache_folder(),
    )
