"""Traces of requests: what a bench run needs for them, and finding them afterwards."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from enos.bench.tracing import Profiler
from enos.bench.workload import Workload
from enos.config.events import LinkChange, Timeline
from enos.errors import CapabilityError, ConfigError, TraceError, listed
from enos.kolla.globals import is_on
from enos.phases import tc
from enos.phases.session import Session
from enos.state.directory import write_atomically
from enos.testbed import Host, Testbed
from enos.traces import page, tables
from enos.traces.crossings import Lab, from_json, to_json
from enos.traces.points import read
from enos.traces.tree import Tree, grown

STORES = ("valkey", "redis")
PORT = 6379
LAB, FIGURES = "traces.json", "traces.csv"
FILES = "*.json.gz"


def profiler(session: Session, workload: Workload) -> Profiler | None:
    """Return what tracing the workload takes, None when it asks for no traces.

    Raises ConfigError when it does and the services are not set up for it, and
    CapabilityError when they send their points to a store enos does not read.
    """
    asked = tuple(run.name for run in workload.runs if run.traced)
    if not asked:
        return None
    variables = _read(session, "globals.yml")
    if not is_on(variables.get("enable_osprofiler", "no")):
        name = Path(session.directory.load().source).name
        hint = f"write `osprofiler: true` into `{name}`, then `enos os --reconfigure`"
        raise ConfigError(
            f"the workload asks for traces ({_named(asked)}), but the services of this"
            " OpenStack record none",
            hint=hint,
        )
    store = str(variables.get("osprofiler_backend", ""))
    if store not in STORES:
        raise CapabilityError(
            f"trace points go to `{store}`, from where enos does not fetch them",
            hint="remove `osprofiler_backend` from `kolla:`, then"
            " `enos os --reconfigure`",
        )
    passwords = _read(session, "passwords.yml")
    place = address(session.testbed, store)
    secret = quote(_secret(passwords, f"{store}_master_password"), safe="")
    inside = f"[{place}]" if ":" in place else place
    return Profiler(
        key=_secret(passwords, "osprofiler_secret"),
        store=f"redis://default:{secret}@{inside}:{PORT}/0",
    )


def _secret(passwords: Mapping[str, Any], name: str) -> str:
    if not passwords.get(name):
        raise ConfigError(
            f"`passwords.yml` of this OpenStack has no `{name}`, which traces need",
            hint="`enos os --reconfigure` fills in what is missing",
        )
    return str(passwords[name])


def address(testbed: Testbed, store: str) -> str:
    """Return where the store listens: kolla puts it on `control`, or on its own role.

    With several, the first is the one that is written to. Raises ConfigError when no
    host has either role.
    """
    return testbed.address(_keeper(testbed, store), "api")


def _keeper(testbed: Testbed, *stores: str) -> Host:
    names = (*(stores or STORES), "control")
    found = next(filter(None, map(testbed.with_role, names)), None)
    if not found:
        raise ConfigError(
            "no machine keeps trace points",
            hint=f"give one of them the role {listed(names)}",
        )
    return found[0]


def lab(session: Session) -> Lab:
    """Return the hosts and the round trips that emulation adds between them now."""
    testbed = session.testbed
    shaped = session.directory.load().done("tc")
    network = testbed.network("api")
    rtt: dict[tuple[str, str], float] = {}
    for rule in tc.planned(session).rules() if shaped else ():
        if network and rule.network == network.name:
            pair = (min(rule.host, rule.target), max(rule.host, rule.target))
            rtt[pair] = rtt.get(pair, 0.0) + rule.shaping.delay.ms / 1000
    database = testbed.with_role("mariadb") or testbed.with_role("control")
    return Lab(
        groups={host.name: host.groups for host in testbed.hosts},
        rtt={pair: seconds for pair, seconds in rtt.items() if seconds},
        database=database[0].name if database else "",
        store=_keeper(testbed).name,
    )


def keep_lab(session: Session, folder: Path, timeline: Timeline) -> None:
    """Write down beside a run's results what lies between the hosts as it begins.

    Warns of events that change it meanwhile: no trace is counted with those delays.
    """
    changes = (one for one in timeline.events if isinstance(one, LinkChange))
    slower = [one for one in changes if any(spec.delay for spec in one.specs)]
    if slower:
        session.progress.warn(
            f"events change delays (`{slower[0].text}`): what traces say of the time "
            "between hosts counts with the delays from before"
        )
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(to_json(lab(session)), indent=2) + "\n"
    write_atomically(folder / LAB, text)


def keep_figures(folder: Path) -> None:
    """Write a run's `traces.csv`: calls and time by category for each iteration."""
    rows = [
        row for one in _scenarios(folder) for row in tables.tidy(one.name, one.trees)
    ]
    write_atomically(folder / FIGURES, tables.as_csv(rows))


def keep_analyses(session: Session, folder: Path) -> None:
    """Write a run's figures and a page beside each trace; raises TraceError."""
    with session.progress.step("what the traces tell") as step:
        keep_figures(folder)
        for one in _scenarios(folder):
            step.awaiting(f"pages of `{one.name}`")
            write_pages([one])


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A scenario of a run, and files with its traces.

    Attributes:
        run: folder of the run; `folder` of the scenario.

    """

    run: Path
    folder: Path
    files: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Return the folder's name without its number: ``boot-and-delete``."""
        number, _, name = self.folder.name.partition("-")
        return name if number.isdigit() else self.folder.name

    @property
    def label(self) -> str:
        """Return run and scenario, which `find` finds it by."""
        return f"{self.run.name}/{self.folder.name}"

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


def kept(session: Session) -> tuple[Traced, ...]:
    """Return the traced scenarios of all runs, the latest run last."""
    runs = sorted(session.directory.results.glob("bench-*"))
    return tuple(one for run in runs for one in _scenarios(run))


def find(traced: Sequence[Traced], what: str) -> tuple[Traced, ...]:
    """Return what a word stands for: a run, a scenario or a trace.

    Args:
        traced: of `kept`.
        what: a run's folder, ``run/scenario``, a scenario of the latest run that has
            it, the beginning of a trace's id, or empty for the latest run.

    Raises TraceError when nothing or several different things are meant.

    """
    if not traced:
        raise TraceError(
            "there are no traces",
            hint="write `osprofiler: true` into the experiment file and below `rally:`"
            " of the workload, then `enos os --reconfigure` and `enos bench`",
        )
    wanted = what.strip("/") or traced[-1].run.name
    for match in (_of_run, _of_label, _of_scenario, _of_trace):
        found = match(traced, wanted)
        if found:
            return found
    raise TraceError(
        f"no run, scenario or trace is called `{what}`",
        hint="`enos trace list` tells what there is",
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


def write_pages(
    found: Iterable[Traced], output: Path | None = None
) -> tuple[Path, ...]:
    """Write a page for each trace, beside it or into a folder; return their paths."""
    pages = []
    for one in found:
        folder = output or one.files[0].parent
        folder.mkdir(parents=True, exist_ok=True)
        for file in one.files:
            tree = grown(read(file))
            name = f"{one.name}-{file.name.removesuffix('.json.gz')}.html"
            write_atomically(folder / name, page.render(one.label, tree, one.lab))
            pages.append(folder / name)
    return tuple(pages)


def _of_run(traced: Iterable[Traced], what: str) -> tuple[Traced, ...]:
    return tuple(one for one in traced if one.run.name == what)


def _of_label(traced: Iterable[Traced], what: str) -> tuple[Traced, ...]:
    return tuple(one for one in traced if one.label == what)


def _of_scenario(traced: Iterable[Traced], what: str) -> tuple[Traced, ...]:
    found = [one for one in traced if what in (one.name, one.folder.name)]
    return tuple(one for one in found if one.run == found[-1].run)


def _of_trace(traced: Iterable[Traced], what: str) -> tuple[Traced, ...]:
    found = [
        Traced(run=one.run, folder=one.folder, files=(file,))
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


def _scenarios(run: Path) -> tuple[Traced, ...]:
    found = (
        Traced(run=run, folder=place.parent, files=tuple(sorted(place.glob(FILES))))
        for place in sorted(run.glob("*/traces"))
    )
    return tuple(one for one in found if one.files)


def _named(names: tuple[str, ...]) -> str:
    first = f"`{names[0]}`"
    return first if len(names) == 1 else f"{first} and {len(names) - 1} more"


def _read(session: Session, name: str) -> dict[str, Any]:
    path = session.directory.kolla / name
    if not path.exists():
        return {}
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
