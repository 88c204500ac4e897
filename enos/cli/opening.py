"""What commands that work on an experiment open: its session, with progress drawn."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from enos.cli.options import Options
from enos.phases.session import Session, Workshop, resuming, starting


@contextmanager
def begun(options: Options, file: Path) -> Iterator[Session]:
    """Open the experiment of a file, new or to be gone on with."""
    console = options.console
    workshop = Workshop(progress=console, where=options.cwd, cache=options.cache)
    with console.drawing(), starting(file, options.env, workshop) as session:
        yield session


@contextmanager
def opened(
    options: Options, *, reread: bool = True, lock: bool = True
) -> Iterator[Session]:
    """Open the experiment of `--env` or `current`."""
    console = options.console
    workshop = Workshop(progress=console, where=options.cwd, cache=options.cache)
    with (
        console.drawing(),
        resuming(options.env, workshop, reread=reread, lock=lock) as session,
    ):
        yield session
