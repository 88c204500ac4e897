"""The directory of an experiment: where everything is, atomic writes, the lock.

enos-demo/
  experiment.yml   the file as given        state.json      phases and testbed
  journal.jsonl    what happened            logs/           output of each phase
  kolla/           inventory, globals, passwords, clouds.yaml
  provider/        the testbed's own files  results/        benchmarks, measurements
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enos.errors import StateError
from enos.state.journal import Journal
from enos.state.record import State, from_json, to_json

CURRENT = "current"
PREFIX = "enos-"


@dataclass(frozen=True, slots=True)
class Directory:
    """Paths of an experiment and its saved state.

    Attributes:
        supposed: what `load` returns in place of the file, for one who only looks.

    """

    path: Path
    supposed: State | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Make the path absolute: programs it is handed to run in other folders."""
        object.__setattr__(self, "path", self.path.absolute())

    @property
    def experiment(self) -> Path:
        """The experiment file, verbatim."""
        return self.path / "experiment.yml"

    @property
    def journal(self) -> Journal:
        """The journal of all that happened here."""
        return Journal(self.path / "journal.jsonl")

    @property
    def kolla(self) -> Path:
        """Inventory, globals, passwords, openrc and clouds.yaml."""
        return self.path / "kolla"

    @property
    def provider(self) -> Path:
        """The provider's own files."""
        return self.path / "provider"

    @property
    def results(self) -> Path:
        """Benchmark results and measurements."""
        return self.path / "results"

    @property
    def changed(self) -> Path:
        """Names the machines that events may be changing; absent when none does."""
        return self.path / "changed.json"

    @property
    def logs(self) -> Path:
        """Output of programs, a file each."""
        return self.path / "logs"

    @property
    def sockets(self) -> Path:
        """SSH control sockets; short, since a Unix socket's path has 107 bytes."""
        return Path("/tmp") / f"{self.load().session}-ssh"  # noqa: S108 - mode 0700

    def exists(self) -> bool:
        """Tell whether an experiment was ever started here."""
        return (self.path / "state.json").exists()

    def create(self, *, provider: str) -> State:
        """Make the folders and a first state; keeps one that is there."""
        for folder in (self.path, self.kolla, self.provider, self.results, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.exists():
            return self.load()
        state = State(session=f"{PREFIX}{secrets.token_hex(3)}", provider=provider)
        self.save(state)
        return state

    def load(self) -> State:
        """Return the saved state; raises StateError when there is none or it is bad."""
        if self.supposed is not None:
            return self.supposed
        try:
            text = (self.path / "state.json").read_text(encoding="utf-8")
        except OSError as gone:
            raise StateError(
                f"`{self.path}` is not an experiment directory: {gone.strerror}",
                hint="start one with `enos up -f FILE`, or name it with `--env DIR`",
            ) from None
        try:
            return from_json(json.loads(text))
        except (ValueError, KeyError, TypeError) as bad:
            raise StateError(
                f"`{self.path / 'state.json'}` cannot be read: {bad}",
                hint="restore it from a backup; the journal tells what was acquired",
            ) from bad

    def save(self, state: State) -> None:
        """Write the state so that a crash leaves the old one or the new one."""
        if self.supposed is not None:
            raise RuntimeError("what is only looked at was about to be changed")
        text = json.dumps(to_json(state), indent=2) + "\n"
        write_atomically(self.path / "state.json", text, mode=0o600)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep any other enos out of this directory; raises StateError when held."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.path / ".lock").open("a+", encoding="utf-8") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.seek(0)
                raise StateError(
                    f"another enos (process {handle.read().strip()}) works in "
                    f"`{self.path}`",
                    hint="wait for it, or name another directory with `--env DIR`",
                ) from None
            handle.truncate(0)
            handle.write(f"{os.getpid()}\n")
            handle.flush()
            yield


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file by temporary name, fsync and rename (rename(2)).

    Raises OSError that names the file; the old one is then still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        with os.fdopen(os.open(draft, flags, mode), "w") as sink:
            sink.write(text)
            sink.flush()
            os.fsync(sink.fileno())
        draft.replace(path)
    except OSError as failed:  # a full disk: write(2) does not say of which file
        draft.unlink(missing_ok=True)
        raise OSError(failed.errno, failed.strerror, str(path)) from failed


def read_kept(path: Path) -> dict[str, Any]:
    """Return the JSON object a file keeps; empty without one that can be read."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def for_experiment(file: Path, where: Path) -> Directory:
    """Return the directory an experiment file belongs to, new or still alive.

    ``demo.yml`` → ``enos-demo``; once that experiment has given its nodes back, its
    results stay where they are and the next run goes to ``enos-demo-2``.
    """
    for number in range(1, 10_000):
        suffix = f"-{number}" if number > 1 else ""
        directory = Directory(where / f"{PREFIX}{file.stem}{suffix}")
        if not directory.exists() or not directory.load().done("destroy"):
            return directory
    raise StateError(
        f"`{where}` holds 9999 runs of `{file.name}`",
        hint="move some of them elsewhere, or name a directory with `--env DIR`",
    )


def find(env: Path | None, where: Path) -> Directory:
    """Return the directory a command works on: `--env`, `current`, or the only one.

    Raises StateError when there is none, or several and no `current`.
    """
    if env is not None:
        return Directory(env)
    link = where / CURRENT
    if link.exists():
        return Directory(link.resolve())
    found = [path.parent for path in where.glob(f"{PREFIX}*/state.json")]
    if len(found) == 1:
        return Directory(found[0])
    names = ", ".join(f"`{path.name}`" for path in sorted(found))
    raise StateError(
        f"which experiment? `{where}` holds {names}"
        if found
        else f"there is no experiment in `{where}`",
        hint="name it with `--env DIR`" if found else "start one: `enos up -f FILE`",
    )


def make_current(directory: Directory, where: Path) -> None:
    """Point the link `current` at a directory, in one step."""
    draft = where / f".{CURRENT}.{os.getpid()}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(directory.path.resolve())
    draft.replace(where / CURRENT)
