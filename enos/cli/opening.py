"""What commands that work on an experiment open: its session, with progress drawn.

With `--dry-run` it is only looked at, whatever the command.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from enos.cli.console import Console
from enos.cli.options import Options
from enos.phases import looking
from enos.phases.session import Session, Workshop, resuming, starting


@contextmanager
def begun(
    options: Options, file: Path, *, only_look: bool = False
) -> Iterator[Session]:
    """Open the experiment of a file, new or to be gone on with; or look at it."""
    console = options.console
    workshop = _workshop(options, console)
    with console.drawing():
        if options.dry_run or only_look:
            yield looking.at_file(file, options.env, workshop)
        else:
            with starting(file, options.env, workshop) as session:
                yield session


@contextmanager
def opened(
    options: Options, *, reread: bool = True, lock: bool = True
) -> Iterator[Session]:
    """Open the experiment of `--env` or `current`."""
    console = options.console
    workshop = _workshop(options, console)
    with console.drawing():
        if options.dry_run:
            yield looking.at_directory(options.env, workshop, reread=reread)
        else:
            with resuming(options.env, workshop, reread=reread, lock=lock) as session:
                yield session


def _workshop(options: Options, console: Console) -> Workshop:
    return Workshop(progress=console, where=options.cwd, cache=options.cache)
