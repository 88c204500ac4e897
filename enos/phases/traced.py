"""Traces of requests: finding them, in an experiment's results or in an archive."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory, gettempdir
from typing import IO

from enos.archive.read import visit
from enos.errors import TraceError
from enos.state.directory import write_atomically
from enos.traces import page
from enos.traces.crossings import Lab, from_json
from enos.traces.points import read
from enos.traces.tree import Tree, grown

LAB = "traces.json"
FILES = "*.json.gz"
_HOW = (
    "write `osprofiler: true` into the experiment file and below `rally:` of the"
    " workload, then `enos os --reconfigure` and `enos bench`"
)
_WANTED = re.compile(
    r"results/bench-[^/]+/(?:traces\.json|[^/]+/traces/[^/]+\.json\.gz)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A scenario of a run, and files with its traces.

    Attributes:
        run: folder of the run; `folder` of the scenario.
        archive: it was read from, as it was named; empty for the experiment itself.

    """

    run: Path
    folder: Path
    files: tuple[Path, ...]
    archive: str = ""

    @property
    def name(self) -> str:
        """Return the folder's name without its number: ``boot-and-delete``."""
        number, _, name = self.folder.name.partition("-")
        return name if number.isdigit() else self.folder.name

    @property
    def place(self) -> str:
        """Return run and scenario, which `find` finds it by."""
        return f"{self.run.name}/{self.folder.name}"

    @property
    def label(self) -> str:
        """Return the words that name it on a command line, its archive too."""
        return f"{self.archive}/{self.place}" if self.archive else self.place

    @property
    def trees(self) -> tuple[Tree, ...]:
        """Return the traces as trees of spans; raises TraceError."""
        return tuple(grown(read(file)) for file in self.files)

    @property
    def lab(self) -> Lab:
        """Return what lay between the hosts when they were recorded."""
        path = self.run / LAB
        if not path.exists():
            return Lab()
        return from_json(json.loads(path.read_text(encoding="utf-8")))


def of_run(run: Path, archive: str = "") -> tuple[Traced, ...]:
    """Return the traced scenarios of a run's folder, in their order."""
    found = (
        Traced(
            run=run,
            folder=place.parent,
            files=tuple(sorted(place.glob(FILES))),
            archive=archive,
        )
        for place in sorted(run.glob("*/traces"))
    )
    return tuple(one for one in found if one.files)


def kept(results: Path, archive: str = "") -> tuple[Traced, ...]:
    """Return the traced scenarios of all runs below a folder, the latest run last."""
    runs = sorted(results.glob("bench-*"))
    return tuple(one for run in runs for one in of_run(run, archive))


def inside(what: str) -> tuple[Path, str] | None:
    """Return the archive a word begins with and what it means there; None for none.

    An archive is any file: ``demo.tar.zst``, ``demo.tar.zst/boot-and-delete``.
    """
    path = Path(what)
    file = next((one for one in (path, *path.parents) if one.is_file()), None)
    if file is None:
        return None
    rest = path.relative_to(file).as_posix()
    return file, "" if rest == "." else rest


@contextmanager
def of_archive(file: Path) -> Iterator[tuple[Traced, ...]]:
    """Give the traced scenarios an archive holds; its files go with the context.

    Raises ArchiveError as `archive.verify` does, TraceError when there are none.
    """
    with TemporaryDirectory(prefix="enos-traces-") as scratch:

        def look(name: str, _: int, data: IO[bytes]) -> None:
            if _WANTED.fullmatch(name):
                _copy(data, Path(scratch) / name)

        visit(file, look)
        found = kept(Path(scratch) / "results", str(file))
        if not found:
            raise TraceError(f"`{file}` holds no traces", hint=_HOW)
        yield found


def _copy(data: IO[bytes], place: Path) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as copy:
            copyfileobj(data, copy)
    except OSError as error:
        raise TraceError(
            f"`{place.name}` cannot be taken out of the archive: {error.strerror}",
            hint=f"see whether `{gettempdir()}` is full, or set TMPDIR",
        ) from None


def find(traced: Sequence[Traced], what: str) -> tuple[Traced, ...]:
    """Return what a word stands for: a run, a scenario or a trace.

    Args:
        traced: of `kept`.
        what: a run's folder, ``run/scenario``, a scenario of the latest run that has
            it, the beginning of a trace's id, or empty for the latest run.

    Raises TraceError when nothing or several different things are meant.

    """
    if not traced:
        raise TraceError("there are no traces", hint=_HOW)
    wanted = what.strip("/") or traced[-1].run.name
    for match in (_of_run, _of_label, _of_scenario, _of_trace):
        found = match(traced, wanted)
        if found:
            return found
    listing = f"enos trace list {traced[0].archive}".strip()
    raise TraceError(
        f"no run, scenario or trace is called `{what}`",
        hint=f"`{listing}` tells what there is",
    )


def paired(
    before: Sequence[Traced], after: Sequence[Traced]
) -> tuple[tuple[Traced, Traced], ...]:
    """Return the scenarios of two runs that are called alike; one each always fit.

    Raises TraceError when the runs have no scenario in common.
    """
    if len(before) == len(after) == 1:
        return ((before[0], after[0]),)
    there = {one.name: one for one in after}
    found = tuple((one, there[one.name]) for one in before if one.name in there)
    if not found:
        raise TraceError(
            f"`{before[0].run.name}` and `{after[0].run.name}` have no traced scenario"
            " in common",
            hint="name two scenarios: `enos trace diff RUN/SCENARIO RUN/SCENARIO`",
        )
    return found


def page_path(one: Traced, file: Path, output: Path | None = None) -> Path:
    """Return where the page of a trace is written: beside it, or into a folder."""
    name = f"{one.name}-{file.name.removesuffix('.json.gz')}.html"
    return (output or file.parent) / name


def write_pages(
    found: Iterable[Traced], output: Path | None = None
) -> tuple[Path, ...]:
    """Write a page for each trace, see `page_path`; return their paths."""
    pages = []
    for one in found:
        for file in one.files:
            path = page_path(one, file, output)
            path.parent.mkdir(parents=True, exist_ok=True)
            tree = grown(read(file))
            write_atomically(path, page.render(one.place, tree, one.lab))
            pages.append(path)
    return tuple(pages)


def _of_run(traced: Iterable[Traced], what: str) -> tuple[Traced, ...]:
    return tuple(one for one in traced if one.run.name == what)


def _of_label(traced: Iterable[Traced], what: str) -> tuple[Traced, ...]:
    return tuple(one for one in traced if one.place == what)


def _of_scenario(traced: Iterable[Traced], what: str) -> tuple[Traced, ...]:
    found = [one for one in traced if what in (one.name, one.folder.name)]
    return tuple(one for one in found if one.run == found[-1].run)


def _of_trace(traced: Iterable[Traced], what: str) -> tuple[Traced, ...]:
    found = [
        replace(one, files=(file,))
        for one in traced
        for file in one.files
        if file.name.partition("-")[2].startswith(what)
    ]
    if len(found) > 1:
        raise TraceError(
            f"{len(found)} traces begin with `{what}`",
            hint="give more of the id, as `enos trace list` tells it",
        )
    return tuple(found)
