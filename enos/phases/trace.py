"""Traces of requests: what a bench run needs for them and keeps of them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from enos.bench.tracing import Profiler
from enos.bench.workload import Workload
from enos.config.events import LinkChange, Timeline
from enos.errors import CapabilityError, ConfigError, listed
from enos.kolla.globals import is_on
from enos.netem.plan import Rule
from enos.phases import tc
from enos.phases.session import Session
from enos.phases.traced import LAB, of_run, write_pages
from enos.state.directory import write_atomically
from enos.testbed import Host, Testbed
from enos.traces import tables
from enos.traces.crossings import Lab, to_json

STORES = ("valkey", "redis")
PORT = 6379
FIGURES = "traces.csv"


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
    several = tc.planned(session).rules() if network and shaped else ()
    there = [rule for rule in several if network and rule.network == network.name]
    database = testbed.with_role("mariadb") or testbed.with_role("control")
    return Lab(
        groups={host.name: host.groups for host in testbed.hosts},
        rtt=round_trips(there),
        database=database[0].name if database else "",
        store=_keeper(testbed).name,
    )


def round_trips(rules: Iterable[Rule]) -> dict[tuple[str, str], float]:
    """Return pair of hosts → seconds added to a round trip: the way there and back.

    A host with several addresses, the one that holds the VIP for instance, has a rule
    for each; the way to it is one.
    """
    ways: dict[tuple[str, str], float] = {}
    for rule in rules:
        ways.setdefault((rule.host, rule.target), rule.shaping.delay.ms / 1000)
    found: dict[tuple[str, str], float] = {}
    for (host, target), seconds in ways.items():
        pair = (min(host, target), max(host, target))
        found[pair] = found.get(pair, 0.0) + seconds
    return {pair: seconds for pair, seconds in found.items() if seconds}


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
    rows = [row for one in of_run(folder) for row in tables.tidy(one.name, one.trees)]
    write_atomically(folder / FIGURES, tables.as_csv(rows))


def keep_analyses(session: Session, folder: Path) -> None:
    """Write a run's figures and a page beside each trace; raises TraceError."""
    with session.progress.step("what the traces tell") as step:
        keep_figures(folder)
        for one in of_run(folder):
            step.awaiting(f"pages of `{one.name}`")
            write_pages([one])


def _named(names: tuple[str, ...]) -> str:
    first = f"`{names[0]}`"
    return first if len(names) == 1 else f"{first} and {len(names) - 1} more"


def _read(session: Session, name: str) -> dict[str, Any]:
    path = session.directory.kolla / name
    if not path.exists():
        return {}
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
