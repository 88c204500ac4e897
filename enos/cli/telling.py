"""How commands end: a plan that was asked for, what was done, the next command."""

import shlex
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enos.cli.options import EXPERIMENT, Options

if TYPE_CHECKING:
    from enos.phases.session import Session


def plan(options: Options, lines: Iterable[str]) -> None:
    """Print what a dry run found."""
    told = list(lines)
    if options.json:
        options.console.result_json({"plan": told})
    else:
        options.console.result("\n".join(told))


def done(
    options: Options,
    did: str,
    where: Path | str,
    *,
    after: str = "",
    **more: Any,  # noqa: ANN401 - JSON values
) -> None:
    """Tell that a command did what it is for.

    Args:
        options: of the command.
        did: its name.
        where: what it worked on or wrote.
        after: the command that usually follows.
        more: what else a program may want to know.

    """
    if options.json:
        seconds = round(time.monotonic() - options.began, 3)
        told = {"did": did, "seconds": seconds, "where": str(where)}
        options.console.result_json({**told, **more, "next": after or None})
    if after:
        options.console.next_command(after)


def facts(session: "Session", *phases: str) -> dict[str, Any]:
    """Return seconds and facts of phases that have ended, by their names."""
    ran = session.directory.load().phases
    return {
        name: {
            "seconds": round(ran[name].finished - ran[name].started, 3),
            "facts": dict(ran[name].facts),
        }
        for name in phases
        if name in ran
    }


def following(options: Options, *words: str) -> str:
    """Return a next command for the same experiment as this one."""
    named = ("--env", str(options.env)) if options.env else ()
    return shlex.join(("enos", *words, *named))


def anew(options: Options, source: str, *words: str) -> str:
    """Return a next command that is given the experiment file; see `following`."""
    named = _short(Path(source), options.cwd)
    chosen = () if named == EXPERIMENT else ("-f", named)
    return following(options, *words, *chosen)


def _short(source: Path, where: Path) -> str:
    """Return how a user would call an experiment file from a folder."""
    from enos import content

    if source.parent == content.folder("topologies").resolve():
        return source.stem
    inside = source.is_relative_to(where.resolve())
    return str(source.relative_to(where.resolve()) if inside else source)
