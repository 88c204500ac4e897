"""The options every command takes, and what they open: a console and an experiment."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
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

    """

    env: Path | None
    level: int
    dry_run: bool
    json: bool
    cwd: Path
    cache: Path

    @property
    def console(self) -> Console:
        """Return a console at the wanted level."""
        return Console(level=self.level)


EXPERIMENT_FILE = click.option(
    "-f", "--file", type=click.Path(path_type=Path), default="experiment.yml",
    show_default=True, help="Experiment file, or the name of a shipped topology.",
)  # fmt: skip
"""The option of the commands that start from an experiment file."""


def common(function: F) -> F:
    """Add the common options; the command gets one `options` argument instead."""

    @click.option(
        "-e", "--env", type=click.Path(path_type=Path), help="Experiment directory."
    )
    @click.option("-q", "-s", "--quiet", "--silent", is_flag=True, help="Errors only.")
    @click.option("-v", "--verbose", count=True, help="Say more; twice for all.")
    @click.option("--dry-run", is_flag=True, help="Print the plan, touch nothing.")
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    @click.pass_context
    @functools.wraps(function)
    def command(context: click.Context, /, **given: Any) -> Any:  # noqa: ANN401 - click's
        mine = ("env", "quiet", "verbose", "dry_run", "as_json")
        outer = context.obj or {}
        chosen = {name: given.pop(name) or outer.get(name) for name in mine}
        return function(options=_options(chosen), **given)

    return command  # type: ignore[return-value] # same command, fewer arguments


def cache_folder() -> Path:
    """Return where enos keeps what experiments share (XDG base directories)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ENOS_CACHE") or Path(base) / "enos")


def _options(chosen: dict[str, Any]) -> Options:
    level = QUIET if chosen["quiet"] else NORMAL
    return Options(
        env=chosen["env"],
        level=VERBOSE * chosen["verbose"] if chosen["verbose"] else level,
        dry_run=bool(chosen["dry_run"]),
        json=bool(chosen["as_json"]),
        cwd=Path.cwd(),
        cache=cache_folder(),
    )
