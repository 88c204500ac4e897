"""`enos backup --restore-metrics FILE`: measures of an archive in a database again."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from enos.archive.read import visit
from enos.errors import ArchiveError, CapabilityError
from enos.metrics import database, saved
from enos.metrics.plan import DATABASE
from enos.phases import agents, metrics
from enos.process import LocalShell, Shell
from enos.progress import Progress

MEMBERS = f"results/{metrics.SAVED}/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where measures go.

    Attributes:
        to: URL of a database that is there, None for a new one here.
        password: of the account in that URL.
        data: folder of the new one, None for one named after the archive.
        cache: folder all experiments of this user share.

    """

    to: str | None = None
    password: str = field(default="", repr=False)
    data: Path | None = None
    cache: Path


def planned(file: Path, place: Place) -> tuple[str, ...]:
    """Return what `run` would do; whether the file holds measures is not looked at.

    Raises ArchiveError for a file that is not there.
    """
    if not file.exists():
        hint = "name an archive of `enos backup`, or an experiment directory"
        raise ArchiveError(f"there is no file `{file}`", hint=hint)
    if place.to is not None:
        url = database.at(place.to, place.password).url
        return (f"write the measures of `{file}` into the database at {url}",)
    return (
        f"start an InfluxDB on this machine, with its data in `{_data(file, place)}`",
        f"write the measures of `{file}` into it",
    )


def run(
    file: Path, place: Place, progress: Progress, shell: Shell | None = None
) -> str:
    """Bring the measures of an archive, or of a folder, up again.

    A folder is an experiment directory, or one that `enos.metrics.saved` wrote.

    Returns the URL of the database; one started here goes on when enos ends.

    Raises:
        ArchiveError: there are no measures in it.
        MonitoringError: the database refuses them.
        CapabilityError: no InfluxDB can be had here.

    """
    shell = shell or LocalShell()
    with _measures(file, progress) as folder:
        if place.to is not None:
            chosen = database.at(place.to, place.password)
            with progress.step("measures") as step:
                step.awaiting(chosen.url)
                saved.feed(folder, chosen)
            return chosen.url
        data = _data(file, place)
        influxd = _influxd(place.cache, shell, progress)
        with progress.step("measures") as step:
            step.awaiting(str(data))
            url = saved.revive(folder, data, influxd, shell)
    stop = f"kill $(cat {data / saved.PID})"
    progress.decision(f"InfluxDB goes on with its data in `{data}`; stop it: {stop}")
    return url


@contextmanager
def _measures(file: Path, progress: Progress) -> Iterator[Path]:
    """Yield the folder of the saved measures; raises ArchiveError without any."""
    if file.is_dir():
        folder = file if (file / saved.LINES).exists() else file / MEMBERS
        saved.recover(folder)
        _require(folder, file)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="enos-measures-") as name:
        folder = Path(name)

        def look(path: str, _: int, data: IO[bytes]) -> None:
            if path.startswith(MEMBERS):
                target = folder / path.removeprefix(MEMBERS)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as sink:
                    shutil.copyfileobj(data, sink)

        with progress.step("reading the archive"):
            visit(file, look)
        _require(folder, file)
        yield folder


def _require(folder: Path, file: Path) -> None:
    if not (folder / saved.LINES).exists():
        hint = "only experiments with `enable_monitoring: true` have them"
        raise ArchiveError(f"`{file}` holds no measures", hint=hint)


def _data(file: Path, place: Place) -> Path:
    stem = file.resolve().name.partition(".tar")[0]
    return place.data or Path(f"{stem}-metrics")


def _influxd(cache: Path, shell: Shell, progress: Progress) -> Path:
    """Return InfluxDB's program: this machine's own, or Debian's from the cache."""
    own = shutil.which("influxd")
    if own:
        return Path(own)
    store = agents.Store(cache=cache, shell=shell, progress=progress)
    kind = agents.kind_of(shell.run(("sh", "-c", agents.ASK), check=False).stdout)
    if kind.distribution != "debian":
        raise CapabilityError(
            "there is no `influxd` on this machine",
            hint="install InfluxDB 1.x, or give the URL of one with `--to`",
        )
    return store.unpacked(kind, (DATABASE,)) / "usr/bin/influxd"
