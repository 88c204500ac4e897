"""What all containers of ours have in common: their files and their Docker."""

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

from enos.process import Shell

FILES = "/etc/enos"
RM = ("docker", "rm", "--force", "--volumes")


@contextmanager
def scratch(parent: Path, name: str) -> Iterator[Path]:
    """Make a folder for the block, alone with it; what a killed run left is gone."""
    with (parent / f"{name}.lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = parent / name
        rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            rmtree(folder)


def daemon_json(*, registries: Sequence[str] = ()) -> str:
    """Return the configuration of the Docker inside a container (dockerd(8))."""
    wanted = {
        "storage-driver": "overlay2",
        "features": {"containerd-snapshotter": False},
        "live-restore": False,
        "log-driver": "json-file",
        "log-opts": {"max-size": "20m", "max-file": "2"},
        "insecure-registries": list(registries),
        "max-concurrent-downloads": 8,
    }
    return json.dumps(wanted, indent=2) + "\n"


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files a container gets in /etc/enos to a folder of ours."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def put_files(shell: Shell, container: str, folder: Path) -> None:
    """Copy the folder's files to /etc/enos of a container, started or not."""
    shell.run(["docker", "cp", f"{folder}/.", f"{container}:{FILES}"])
