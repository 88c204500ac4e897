"""From the `shaker:` section to runs, every file read and checked.

A scenario is one of Shaker's own (`openstack/perf_l2`), a file beside `run.yml`, or a
file of the shipped `workloads/shaker`; this is also the order of preference, from the
last to the first, so that a user's file wins.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from enos import content
from enos.bench.arguments import combinations, label
from enos.bench.shaker.section import ScenarioFile, ShakerScenario, ShakerSection
from enos.config.source import Document, validate
from enos.config.yamltree import Problem, SyntaxProblem, tree
from enos.errors import ConfigError, meant

LIBRARY = "shaker"
"""Folder of shipped scenarios."""

_LAYERS = ("l2", "l3_east_west", "l3_north_south")
_EXTERNAL = ("dense_l3_north_south", "full_l3_north_south", "perf_l3_north_south")
ALIASES = frozenset(
    (
        *(f"openstack/{kind}_{one}" for kind in ("dense", "full", "perf", "udp")
          for one in _LAYERS),
        *(f"openstack/cross_az/{kind}_{one}" for kind in ("full", "perf")
          for one in _LAYERS),
        *(f"openstack/cross_az/udp_{one}"
          for one in ("l2", "l2_mss8950", "l3_east_west")),
        *(f"openstack/external/{one}_{fip}_fip"
          for one in _EXTERNAL for fip in ("no", "with")),
        "openstack/qos/perf_l2",
        "misc/instance_metadata",
        *(f"spot/{one}" for one in ("ping", "tcp", "udp")),
    )
)  # fmt: skip
"""The scenarios Shaker 1.4.2 brings."""

TEMPLATES = frozenset(
    (
        *(f"shaker/scenarios/openstack/{one}.hot" for one in _LAYERS),
        *(f"shaker/scenarios/openstack/cross_az/{one}.hot" for one in _LAYERS),
        "shaker/scenarios/openstack/external/l3_north_south_no_fip.hot",
        "shaker/scenarios/openstack/external/l3_north_south_with_fip.hot",
        "shaker/scenarios/openstack/qos/l2_qos.hot",
    )
)
"""The Heat templates it brings, that a scenario file may name as `template:`."""

PROGRAMS = {
    "iperf3": "iperf3",
    "iperf": "iperf",
    "iperf_graph": "iperf",
    "netperf": "netperf",
}
"""Class of a test → program it is made with; `flent` is brought along."""


class Where(StrEnum):
    """Where a scenario's traffic runs."""

    NODES = "nodes"
    GUESTS = "guests"
    BENCH_HOST = "bench host"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShakerRun:
    """One scenario, with one combination of arguments.

    Attributes:
        key: hash of all that decides its outcome.
        name: label and, when there are several, the arguments that tell them apart.
        alias: of a scenario Shaker brings; else empty.
        text: the scenario file, verbatim; empty for an alias.
        files: relative path → content of the templates beside it.
        args: replace values of all its tests.
        where: its traffic runs.
        between: two groups, roles or hosts, when it runs between nodes.
        network: name or role of the network nodes use, empty for the default.
        image: of guests, a name in Glance; empty for the one made here.
        flavor: of guests, empty for the default.
        programs: that nodes must have.

    """

    key: str
    name: str
    alias: str = ""
    text: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    args: Mapping[str, Any] = field(default_factory=dict)
    where: Where
    between: tuple[str, str] | None = None
    network: str = ""
    image: str = ""
    flavor: str = ""
    programs: tuple[str, ...] = ()


def shaker_runs(
    document: Document, section: ShakerSection
) -> tuple[tuple[ShakerRun, ...], tuple[Problem, ...]]:
    """Return the runs a section asks for and all that is wrong with its scenarios."""
    runs: list[ShakerRun] = []
    problems: list[Problem] = []
    single = bool(section.file)
    for number, entry in enumerate(section.entries):
        if not (section.enabled and entry.enabled):
            continue
        at = ("scenarios", number - single) if number or not single else ()
        loc = ("shaker", *at, "file")
        try:
            runs += _of_entry(document.path.parent, entry, section)
        except ConfigError as error:
            lines = error.details.splitlines() or [error.message]
            problems += [document.problem(loc, line, error.hint) for line in lines]
    return tuple(_told_apart(runs)), tuple(problems)


def alias_of(name: str) -> str:
    """Return the scenario of Shaker's that a name stands for, empty for none.

    >>> alias_of("networking/dense_l2.yml")
    'openstack/dense_l2'
    >>> alias_of("mine.yml")
    ''
    """
    stem = name.removesuffix(".yaml").removesuffix(".yml")
    if stem.startswith("networking/"):  # its name before Shaker 1.1
        stem = f"openstack/{stem.removeprefix('networking/')}"
    return stem if stem in ALIASES else ""


def _of_entry(
    folder: Path, entry: ShakerScenario, section: ShakerSection
) -> Iterator[ShakerRun]:
    path = _found(folder, entry.file)
    alias = "" if path else alias_of(entry.file)
    made = _from_file(path) if path else _from_alias(alias)
    between = entry.between or section.between
    if between:
        made = replace(made, between=between, where=Where.NODES)
    made = replace(
        made,
        network=entry.network or section.network,
        image=section.image if isinstance(section.image, str) else "",
        flavor=section.flavor,
    )
    name = entry.name or Path(entry.file).with_suffix("").name
    asked = {**section.args, **entry.args}
    for args in combinations(asked):
        run = replace(made, args=args, name=label(name, args, asked))
        yield replace(run, key=_key(run))


def _found(folder: Path, name: str) -> Path | None:
    """Return the file of that name, None for a scenario Shaker brings."""
    library = content.folder("workloads") / LIBRARY
    for place in (folder, library):
        if (place / name).is_file():
            return place / name
    if alias_of(name):
        return None
    shipped = [str(one.relative_to(library)) for one in library.rglob("*.yml")]
    hint = meant(name, (*shipped, *ALIASES))
    raise ConfigError(f"there is no scenario `{name}`", hint=hint)


def _from_alias(alias: str) -> ShakerRun:
    spot = alias.startswith("spot/")
    where = Where.BENCH_HOST if spot else Where.GUESTS
    return ShakerRun(key="", name="", alias=alias, where=where, programs=("iperf3",))


def _from_file(path: Path) -> ShakerRun:
    document = scenario_document(path)
    scenario = validate(document, ScenarioFile)
    remote = bool(scenario.deployment.template)
    own = bool(scenario.deployment.agents)  # of the user's, wherever they run
    return ShakerRun(
        key="",
        name="",
        text=document.text,
        files=_templates(document, scenario),
        where=Where.GUESTS if remote else Where.BENCH_HOST,
        programs=() if own else _programs(scenario),
    )


def _templates(document: Document, scenario: ScenarioFile) -> dict[str, str]:
    """Return the files beside a scenario that it names; ConfigError without them."""
    deployment, folder = scenario.deployment, document.path.parent
    named = [deployment.template, deployment.env_file]
    for support in deployment.support_templates:
        named += [support.get("template", ""), support.get("env_file", "")]
    files = {}
    for name in filter(None, named):
        if (folder / name).is_file():
            files[name] = (folder / name).read_text(encoding="utf-8")
        elif name not in TEMPLATES:
            message = f"there is no template `{name}` beside the scenario"
            hint = meant(name, TEMPLATES)
            problem = document.problem(("deployment", "template"), message, hint)
            raise document.failure([problem])
    return files


def _programs(scenario: ScenarioFile) -> tuple[str, ...]:
    """Return what must be installed where the tests run."""
    needed = set()
    for test in scenario.execution.tests:
        if test.kind in PROGRAMS:
            needed.add(PROGRAMS[test.kind])
        elif test.kind == "flent" and (test.model_extra or {}).get("method") != "ping":
            needed.add("iperf3")
    return tuple(sorted(needed))


def scenario_document(path: Path) -> Document:
    """Return a scenario file as a document; `${…}` in its scripts stays as it is.

    Raises ConfigError when it is not YAML or not a mapping.
    """
    text = path.read_text(encoding="utf-8")
    try:
        found = tree(text.replace("${", "$${"), {})
    except SyntaxProblem as syntax:
        (problem,) = syntax.args
        where = f"{path}:{problem.position.line}:{problem.position.column}"
        raise ConfigError(
            f"`{path}` is not YAML", details=f"{where}: {problem.message}"
        ) from None
    if not isinstance(found.value, dict):
        raise ConfigError(
            f"`{path}` is no Shaker scenario: its top level is no mapping"
        )
    return Document(path=path, text=text, value=found.value, tree=found)


def _key(run: ShakerRun) -> str:
    decides = {
        "alias": run.alias,
        "text": run.text,
        "files": dict(run.files),
        "args": dict(run.args),
        "between": run.between,
        "network": run.network,
        "image": run.image,
        "flavor": run.flavor,
    }
    text = json.dumps(decides, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _told_apart(runs: list[ShakerRun]) -> Iterator[ShakerRun]:
    """Yield the runs with a number on those that repeat an earlier one."""
    seen: dict[str, int] = {}
    for run in runs:
        seen[run.key] = number = seen.get(run.key, 0) + 1
        again = replace(run, key=f"{run.key}-{number}", name=f"{run.name} #{number}")
        yield again if number > 1 else run
