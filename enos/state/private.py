"""A folder that nobody else may enter, where everybody may make one of its name."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from enos.errors import StateError


def make_private(folder: Path, *, experiment: Path) -> None:
    """Have a folder of mode 0700 that is this user's; harmless when it is there.

    Raises StateError for one that somebody else made or can enter: whoever can put
    files there could take over the connections whose sockets it is for (ssh_config(5),
    ControlPath). For root the owner of the experiment's directory is nobody else: what
    root does there is what the owner's files say.
    """
    with suppress(FileExistsError):  # whatever it is, it is looked at below
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        why = "it is no folder"
    elif found.st_uid not in _trusted(experiment):
        why = f"it belongs to the user with the number {found.st_uid}"
    elif stat.S_IMODE(found.st_mode) & 0o077:
        why = f"its mode is {stat.S_IMODE(found.st_mode):o}, so others may enter it"
    else:
        return
    raise StateError(
        f"`{folder}` cannot be used for connections: {why}",
        hint="have it removed by its owner or by root, then run this again",
    )


def _trusted(experiment: Path) -> set[int]:
    """Return the numbers of the users a folder may belong to."""
    me = os.geteuid()
    return {me, experiment.stat().st_uid} if me == 0 else {me}
