"""The workload file, `run.yml`: what `enos bench` runs, with which arguments.

    load_workload(path, defaults=…) -> Workload

`path` is a `run.yml`; `enos.content.find("workloads", name)` turns a folder or the
name of a shipped workload into one. Arguments given as lists make a run for each
combination; arguments of a scenario replace those of its section for that scenario
only. Every task is rendered here, so that nothing is left to go wrong on the bench
host that could be seen before.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from enos import content
from enos.bench.arguments import combinations, label
from enos.bench.shaker.scenario import ShakerRun, shaker_runs
from enos.bench.shaker.section import ImageFile, ShakerSection
from enos.bench.template import rendered
from enos.config.source import Document, read, validate
from enos.config.yamltree import Problem
from enos.errors import ConfigError, meant

ELLIPSIS = "..."
LIBRARY = "rally"
"""Folder of shipped Rally tasks, searched after the one of the workload file."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScenarioEntry(_Part):
    """One entry of `rally: scenarios:`."""

    file: str = Field(description="A Rally task, beside run.yml or shipped.")
    name: str = Field(default="", description="A label, by default the file's name.")
    enabled: bool = Field(default=True, description="False leaves it out.")
    args: dict[str, Any] = Field(
        default={}, description="Arguments of this scenario only; lists make runs."
    )
    plugin: str | list[str] = Field(
        default=[],
        description="Rally plugins it needs, files or folders of Python; the file "
        "named like the task, with `.py`, is one by itself.",
    )
    osprofiler: bool | None = Field(
        default=None, description="Trace requests; left out, as the section says."
    )


class RallySection(_Part):
    """`rally:`, benchmarks of the control plane."""

    enabled: bool = Field(default=True, description="False leaves all of it out.")
    args: dict[str, Any] = Field(
        default={}, description="Arguments of all scenarios; lists make runs."
    )
    osprofiler: bool = Field(
        default=False, description="Trace the requests of all scenarios."
    )
    scenarios: list[ScenarioEntry] = Field(default=[], description="What to run.")

    @field_validator("scenarios", mode="before")
    @classmethod
    def _legible(cls, value: Any) -> Any:  # noqa: ANN401 - any YAML value
        if isinstance(value, str) and value.strip() != ELLIPSIS:
            raise ValueError(f"expected a list: write `- {_spaced(value)}`")
        if not isinstance(value, list):
            return [] if isinstance(value, str) else value
        for entry in value:
            if isinstance(entry, str) and entry.strip(" -") != ELLIPSIS:
                raise ValueError(f"`{entry}` is no mapping: write `- {_spaced(entry)}`")
        return [entry for entry in value if not isinstance(entry, str)]


class WorkloadFile(_Part):
    """A whole `run.yml`."""

    rally: RallySection = Field(default=RallySection(), description="Control plane.")
    shaker: ShakerSection = Field(default=ShakerSection(), description="Data plane.")

    @field_validator("shaker", mode="before")
    @classmethod
    def _elided(cls, value: Any) -> Any:  # noqa: ANN401 - any YAML value
        return {} if value == ELLIPSIS else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One task, with one combination of arguments.

    Attributes:
        key: hash of all that decides its outcome: task and plugins.
        name: label and, when there are several, the arguments that tell them apart.
        file: the template.
        args: filled in.
        task: the rendered task, YAML.
        plugins: files and folders Rally is to load.
        traced: whether OSProfiler is to trace its requests.

    """

    key: str
    name: str
    file: Path
    args: Mapping[str, Any]
    task: str
    plugins: tuple[Path, ...] = ()
    traced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a workload file asks for.

    Attributes:
        name: the folder's.
        runs: of Rally, in the order of the file.
        shaker: of Shaker, likewise.
        image: that guests of Shaker boot, when it is to be had from the net.
        traffic_first: the section of Shaker stands before that of Rally.
        warnings: what the user should know before it runs.

    """

    name: str
    path: Path
    runs: tuple[Run, ...]
    shaker: tuple[ShakerRun, ...] = ()
    image: ImageFile | None = None
    traffic_first: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def ordered(self) -> tuple[Run | ShakerRun, ...]:
        """Return all runs in the order they are to be run."""
        if self.traffic_first:
            return (*self.shaker, *self.runs)
        return (*self.runs, *self.shaker)


def load_workload(path: Path, *, defaults: Mapping[str, Any] | None = None) -> Workload:
    """Return the workload a file describes, every task rendered.

    Args:
        path: a `run.yml`.
        defaults: arguments with the least weight, e.g. `image` and `flavor`.

    Raises:
        ConfigError: all that is wrong with the file and its tasks, with positions.

    """
    document = read(path, environ={})
    file = validate(document, WorkloadFile)
    runs, problems = _runs(document, file.rally, dict(defaults or {}))
    traffic, others = shaker_runs(document, file.shaker)
    if problems or others:
        raise document.failure((*problems, *others))
    elided = (
        f"`{ELLIPSIS}` in `{path.name}` stands for nothing: it is left out"
        if _elides(document.value)
        else ""
    )
    return Workload(
        name=path.resolve().parent.name,
        path=path,
        runs=runs,
        shaker=traffic,
        image=file.shaker.image if isinstance(file.shaker.image, ImageFile) else None,
        traffic_first=next(iter(document.value)) == "shaker",
        warnings=tuple(filter(None, (elided,))),
    )


def _runs(
    document: Document, section: RallySection, defaults: dict[str, Any]
) -> tuple[tuple[Run, ...], tuple[Problem, ...]]:
    runs: list[Run] = []
    problems: list[Problem] = []
    places = _positions(document)
    for place, entry in zip(places, section.scenarios, strict=True):
        if not (section.enabled and entry.enabled):
            continue
        try:
            runs += _of_entry(document.path, entry, section, defaults)
        except ConfigError as error:
            loc = ("rally", "scenarios", place, "file")
            problems.append(document.problem(loc, error.message, error.hint))
    return _told_apart(runs), tuple(problems)


def _told_apart(runs: list[Run]) -> tuple[Run, ...]:
    """Return the runs with a number on those that repeat an earlier one."""
    seen: dict[str, int] = {}
    apart = []
    for run in runs:
        seen[run.key] = number = seen.get(run.key, 0) + 1
        if number > 1:
            name = f"{run.name} #{number}"
            apart.append(replace(run, key=f"{run.key}-{number}", name=name))
        else:
            apart.append(run)
    return tuple(apart)


def _of_entry(
    path: Path,
    entry: ScenarioEntry,
    section: RallySection,
    defaults: Mapping[str, Any],
) -> list[Run]:
    file = _found(path.parent, entry.file)
    wanted = entry.plugin if isinstance(entry.plugin, list) else [entry.plugin]
    own = file.with_suffix(".py")
    plugins = (
        *((own,) if own.exists() else ()),
        *(_plugin(path.parent, name) for name in wanted),
    )
    asked = {**section.args, **entry.args}
    traced = section.osprofiler if entry.osprofiler is None else entry.osprofiler
    runs = []
    for args in combinations(asked):
        task = rendered(file, {**defaults, **args})
        run = Run(
            key=_key(task, plugins, traced=traced),
            name=label(entry.name or file.stem, args, asked),
            file=file,
            args=args,
            task=task,
            plugins=plugins,
            traced=traced,
        )
        runs.append(run)
    return runs


def _found(folder: Path, name: str) -> Path:
    library = content.folder("workloads") / LIBRARY
    for place in (folder, library):
        if (place / name).is_file():
            return place / name
    shipped = sorted(file.name for file in library.glob("*.y*ml"))
    raise ConfigError(f"there is no task `{name}`", hint=meant(name, shipped))


def _plugin(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.exists():
        raise ConfigError(f"there is no plugin `{name}`")
    return path


def _key(task: str, plugins: tuple[Path, ...], *, traced: bool) -> str:
    total = hashlib.sha256(task.encode() + b"\0traced" * traced)
    for file in plugin_files(plugins):
        total.update(file.name.encode() + file.read_bytes())
    return total.hexdigest()[:16]


def plugin_files(plugins: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the Python files of plugins given as files and folders."""
    found: list[Path] = []
    for path in plugins:
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return tuple(found)


def _positions(document: Document) -> tuple[int, ...]:
    """Return the places of the entries in the file; `...` is no entry."""
    rally = document.value.get("rally") or {}
    listed = rally.get("scenarios") or []
    if not isinstance(listed, list):
        return ()
    return tuple(at for at, entry in enumerate(listed) if not isinstance(entry, str))


def _elides(value: Any) -> bool:  # noqa: ANN401 - any YAML value
    return f'"{ELLIPSIS}"' in json.dumps(value, default=str)


def _spaced(text: str) -> str:
    """Return the first `file:x.yml` of a text as `file: x.yml`."""
    first = text.split(maxsplit=1)[0].lstrip("-")
    key, colon, value = first.partition(":")
    return f"{key}: {value}" if colon and value else f"file: {first}"
